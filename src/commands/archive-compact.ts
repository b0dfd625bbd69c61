import type { Command } from 'commander'
import { openArchive, type PlaceFlags, readArchive, withPlace } from './archive-place.ts'
import { settingOption } from './options.ts'

/** Adds `wafermon archive compact`. */
export function addCompact(archive: Command): void {
  withPlace(archive.command('compact'))
    .description(
      'rewrites days of many files, of jobs with their last versions only, and deletes what is replaced; for times without an archiver, which does so by itself',
    )
    .addOption(
      settingOption(
        '--database-url <url>',
        'database that has the record of the archive',
        'DATABASE_URL',
      ),
    )
    .action(async (flags: PlaceFlags) => {
      const { runCompact } = await import('../archive/run-compact.ts')
      const config = await readArchive(flags)
      await runCompact(await openArchive(config), {
        ...{ json: !!flags.json, databaseUrl: config.DATABASE_URL },
      })
    })
}
