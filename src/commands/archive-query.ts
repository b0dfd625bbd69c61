import { type Command, Option } from 'commander'
import { type JobStatus, statuses } from '../core/job.ts'
import type { ArchiveKind } from '../store/archive/columns.ts'
import { assertSpan, collect, toId, toTime } from './archive-flags.ts'
import { openArchive, type PlaceFlags, readArchive, withPlace } from './archive-place.ts'
import { toSite } from './options.ts'

type Flags = PlaceFlags & {
  from?: string
  to?: string
  site?: string[]
  app?: string[]
  key?: string[]
  status?: JobStatus[]
  id?: string[]
  kind: ArchiveKind
  desc?: boolean
  csv?: boolean
}

/** Adds `wafermon archive query`. */
export function addQuery(archive: Command): void {
  withPlace(archive.command('query'))
    .description(
      'prints archived jobs, subjobs or events; exit code 1 when some of them cannot be read',
    )
    .addOption(
      new Option('--kind <kind>', 'what to print')
        .choices(['job', 'subjob', 'event'])
        .default('job'),
    )
    .option(
      '--from <time>',
      'end of a job, or time of an event, from then on: a day (UTC) or an RFC 3339 time',
      toTime,
    )
    .option('--to <time>', 'the same, before then', toTime)
    .option('--site <ids...>', 'only of these sites', collect(toSite))
    .option('--app <names...>', 'only of these apps (whole names)')
    .option('--key <keys...>', 'only with these business keys')
    .addOption(new Option('--status <states...>', 'only in these states').choices(statuses))
    .option('--id <ids...>', 'only these jobs or subjobs, or events of these', collect(toId))
    .option('--desc', 'the newest day first')
    .addOption(new Option('--csv', 'print all columns as CSV').conflicts('json'))
    .addHelpText('after', '\nWith --json each row is a line of JSON, with all columns.')
    .action(query)
}

async function query(flags: Flags): Promise<void> {
  const { runQuery } = await import('../archive/run-query.ts')
  const { from, to, site, app, key, status, id, kind, desc, csv, json } = flags
  assertSpan(from, to)
  const asked = { kind, from, to, sites: site, apps: app, keys: key, statuses: status, ids: id }
  const order = desc ? 'desc' : 'asc'
  const format = csv ? 'csv' : json ? 'ndjson' : 'table'
  await runQuery(await openArchive(await readArchive(flags)), { ...asked, order }, format)
}
