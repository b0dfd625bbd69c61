import type { Command } from 'commander'

/** Adds `wafermon migrate`. */
export function addMigrate(program: Command): void {
  program
    .command('migrate')
    .description('brings the database to what this version needs')
    .option('--database-url <url>', 'the database (or DATABASE_URL)')
    .option('--json', 'print the result as JSON')
    .action(async (flags: { databaseUrl?: string; json?: boolean }) => {
      const { runMigrate } = await import('../roles/migrate.ts')
      await runMigrate({ url: flags.databaseUrl ?? process.env.DATABASE_URL, json: !!flags.json })
    })
}
