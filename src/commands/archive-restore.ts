import { type Command, InvalidArgumentError, Option } from 'commander'
import { assertSpan, collect, toTime } from './archive-flags.ts'
import { openArchive, type PlaceFlags, readArchive, withPlace } from './archive-place.ts'
import { settingOption, toSite } from './options.ts'

type Flags = PlaceFlags & { from: string; to: string; site?: string[]; keep: number }

/** Adds `wafermon archive restore`. */
export function addRestore(archive: Command): void {
  withPlace(archive.command('restore'))
    .description(
      'puts archived jobs, subjobs and events back into the database for some days; a second time changes nothing; exit code 1 when some cannot be read',
    )
    .requiredOption(
      '--from <time>',
      'end of a job, or time of an event, from then on: a day (UTC) or an RFC 3339 time',
      toTime,
    )
    .requiredOption('--to <time>', 'the same, before then', toTime)
    .option('--site <ids...>', 'only of these sites', collect(toSite))
    .addOption(new Option('--keep <days>', 'how many days they stay').default(7).argParser(toDays))
    .addOption(settingOption('--database-url <url>', 'database to restore into', 'DATABASE_URL'))
    .action(async (flags: Flags) => {
      const { runRestore } = await import('../archive/run-restore.ts')
      const { from, to, site: sites, keep: keepDays, json = false } = flags
      assertSpan(from, to)
      const config = await readArchive(flags)
      await runRestore(await openArchive(config), {
        ...{ from, to, sites, keepDays, json, databaseUrl: config.DATABASE_URL },
      })
    })
}

const maxDays = 366

function toDays(text: string): number {
  const days = /^\d{1,3}$/.test(text) ? Number(text) : 0
  if (days >= 1 && days <= maxDays) return days
  throw new InvalidArgumentError(`It must be a whole number of days from 1 to ${maxDays}.`)
}
