import { type Command, Option } from 'commander'
import { ConfigError } from '../core/errors.ts'
import { whoAmI } from './archive-hold.ts'
import { openArchive, type PlaceFlags, readArchive, withPlace } from './archive-place.ts'
import { settingOption, toSeconds, toSite } from './options.ts'

type Flags = PlaceFlags & {
  site?: string
  keepYears?: string
  dryRun?: boolean
  confirm?: boolean
  reason?: string
  by?: string
  wait: number
}

/** Adds `wafermon archive expire`. */
export function addExpire(archive: Command): void {
  withPlace(archive.command('expire'))
    .description(
      'deletes days that are past ARCHIVE_KEEP_YEARS and not held; exit code 1 when one could not be dealt with',
    )
    .addOption(
      new Option('--dry-run', 'only show what would be deleted, and why the rest stays').conflicts(
        'confirm',
      ),
    )
    .option('--confirm', 'delete it, permanently')
    .addOption(new Option('--site <id>', 'only this site (default: every site)').argParser(toSite))
    .addOption(
      settingOption('--keep-years <rules>', 'as event=10,fab1:event=7', 'ARCHIVE_KEEP_YEARS'),
    )
    .option('--reason <text>', 'why; kept in the manifests and in the audit')
    .option('--by <name>', 'who deletes (default: the current system user and machine)')
    .addOption(
      new Option('--wait <seconds>', 'how long to wait for an archiver at work')
        .default(600)
        .argParser(toSeconds),
    )
    .addOption(
      settingOption(
        '--database-url <url>',
        'database that has the archive on record',
        'DATABASE_URL',
      ),
    )
    .action(async (flags: Flags) => {
      if (!flags.dryRun && !flags.confirm) {
        throw new ConfigError(
          'wafermon archive expire: say --dry-run to look, or --confirm to delete',
        )
      }
      const config = await readArchive(flags, {
        ARCHIVE_KEEP_YEARS: ['--keep-years', flags.keepYears],
      })
      const databaseUrl = config.DATABASE_URL
      if (databaseUrl === undefined) {
        throw new ConfigError(
          'DATABASE_URL: set it, or give --database-url: the database says what the time is and what it still has',
        )
      }
      const { runExpire } = await import('../archive/run-expire.ts')
      await runExpire(await openArchive(config), {
        ...{ databaseUrl, keepYears: config.ARCHIVE_KEEP_YEARS, site: flags.site },
        ...{ confirm: !!flags.confirm, by: flags.by ?? whoAmI(), reason: flags.reason },
        ...{ waitS: flags.wait, json: !!flags.json },
      })
    })
}
