import type { Command } from 'commander'
import type { ToolConfig } from '../roles/settings.ts'
import { type ConfigFlags, configOption, jsonOption, readTool, settingOption } from './options.ts'

type Flags = ConfigFlags & { databaseUrl?: string; set?: boolean; json?: boolean }

/** Adds `wafermon db`. */
export function addDb(program: Command): void {
  const db = program.command('db').description('handles the database of a site')
  addTool(
    db,
    'status',
    'shows edition, chunks, rollups, sizes, connections and slow statements; exit code 1 when something is not well, 2 when the database cannot be used',
    async (settings) => (await import('../store/run-status.ts')).runStatus(settings),
  )
  addTool(
    db,
    'maintain',
    'vacuums, analyzes, makes the rollups that are due, compresses what is frozen under the Timescale licence; then as status',
    async (settings) => (await import('../store/run-maintain.ts')).runMaintain(settings),
  )
  addTool(
    db,
    'horizon',
    'shows what the clocks say, and the freeze horizon; exit code 1 while the time is in doubt: nothing is archived or deleted then',
    async (settings) => (await import('../store/run-horizon.ts')).runHorizon(settings),
  ).option('--set', "confirm that the database's clock is right, and set the horizon from it")
}

type Settings = { config: ToolConfig<'db'>; set: boolean; json: boolean }

function addTool(
  db: Command,
  name: string,
  about: string,
  run: (settings: Settings) => Promise<void>,
): Command {
  return db
    .command(name)
    .description(about)
    .addOption(settingOption('--database-url <url>', 'address of the database', 'DATABASE_URL'))
    .addOption(configOption())
    .addOption(jsonOption())
    .action(async (flags: Flags) => {
      const config = await readTool('db', flags, {
        DATABASE_URL: ['--database-url', flags.databaseUrl],
      })
      await run({ config, set: !!flags.set, json: !!flags.json })
    })
}
