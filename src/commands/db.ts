import type { Command } from 'commander'
import { type ConfigFlags, configOption, jsonOption, readTool, settingOption } from './options.ts'

type Flags = ConfigFlags & { databaseUrl?: string; set?: boolean; json?: boolean }

/** Adds `wafermon db horizon`. */
export function addDb(program: Command): void {
  const db = program.command('db').description('handles the database of a site')
  db.command('horizon')
    .description(
      'shows what the clocks say, and the freeze horizon; exit code 1 while the time is in doubt: nothing is archived or deleted then',
    )
    .option('--set', "confirm that the database's clock is right, and set the horizon from it")
    .addOption(settingOption('--database-url <url>', 'address of the database', 'DATABASE_URL'))
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async (flags: Flags) => {
      const config = await readTool('db', flags, {
        DATABASE_URL: ['--database-url', flags.databaseUrl],
      })
      const { runHorizon } = await import('../store/run-horizon.ts')
      await runHorizon({ config, set: !!flags.set, json: !!flags.json })
    })
}
