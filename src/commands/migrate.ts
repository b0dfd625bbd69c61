import type { Command } from 'commander'
import { type ConfigFlags, configOption, jsonOption, readTool, settingOption } from './options.ts'

type Flags = ConfigFlags & { databaseUrl?: string; json?: boolean }

/** Adds `wafermon migrate`. */
export function addMigrate(program: Command): void {
  program
    .command('migrate')
    .description('updates the database to the schema of this version')
    .addOption(settingOption('--database-url <url>', 'address of the database', 'DATABASE_URL'))
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async (flags: Flags) => {
      const { DATABASE_URL } = await readTool('migrate', flags, {
        DATABASE_URL: ['--database-url', flags.databaseUrl],
      })
      const { runMigrate } = await import('../store/run-migrate.ts')
      await runMigrate({ url: DATABASE_URL, json: !!flags.json })
    })
}
