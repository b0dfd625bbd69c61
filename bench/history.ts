import { join } from 'node:path'
import { FolderPlace } from '../src/archive/places/folder.ts'
import { fromMs, toMs } from '../src/core/time.ts'
import { type Day, toDay } from '../src/store/archive/days.ts'
import { connect, type Store } from '../src/store/connect.ts'
import { eventRow, jobRow, writeDay } from '../test/archive/written-day.ts'
import { startRole } from '../test/support/processes.ts'
import type { Bench, Context, Turn } from './frame/bench.ts'
import { Connection, expectOk } from './frame/connection.ts'
import { folder } from './frame/context.ts'
import { median } from './frame/numbers.ts'

/** Ten years of a site like a plant of 64 lots a day, each of which is a few days under way. */
const days = 3652
const jobsADay = 64
/** A lot comes back to each key so many times in all the years. */
const timesOfKey = 10
/** Of the newest days there are events: reading those of a job takes as long in all others. */
const daysWithEvents = 40
const eventsADay = 20_000

const op = { operation: 'bench', table: 'archived_job' }
const first = toMs('2015-01-01T00:00:00.000000Z')
const dayAt = (n: number): Day => toDay('fab1', fromMs(first + n * 86_400_000))
const uuidOf = (day: number, n: number) =>
  `b0000000-0000-4000-8000-${String(day).padStart(6, '0')}${String(n).padStart(6, '0')}`

/** What years in the archive cost a question, through the local API. */
export const history: Bench = {
  name: 'history',
  about: `${days} days of a site with ${jobsADay} jobs each in an archive in a folder, through the local API: one job, its events, pages, a key and failures over all years`,
  unit: 'ms',
  async start(context) {
    const { url, server } = await context.database()
    const dir = join(folder(context), 'archive')
    const store = connect(url, { role: 'bench', max: 1 })
    context.after(() => store.close())
    await fill(context, store, dir)
    const env = { DATABASE_URL: url, ARCHIVE_DIR: dir, LOG_LEVEL: 'warn' }
    const { url: api } = await startRole(context, 'local-api', env)
    const last = days - 1
    const id = uuidOf(last - 3, 7)
    const page = `/v1/jobs?limit=100&archive=true&from=2014-01-01T00:00:00Z`
    const sides: Record<string, Turn> = {
      'hot store alone': times(api, () => '/v1/jobs?limit=100&business_key=none', 0),
      'one job': times(api, (i) => `/v1/jobs/${uuidOf((i * 577) % days, i % jobsADay)}`),
      'its events, of 3 days': times(api, () => `/v1/jobs/${id}/events?limit=100`, 100),
      '100 jobs by their end': times(api, () => `${page}&time=ended`, 100),
      '100 jobs by their start': times(api, () => `${page}&time=started`, 100),
      'a key, 10 jobs in all years': times(
        api,
        (i) => `/v1/jobs?archive=true&business_key=lot-${(i * 577) % keyCount}`,
        timesOfKey,
      ),
      'failures of an app, a page': times(
        api,
        () => `${page}&time=ended&status=failed&exact_app=app-3`,
      ),
    }
    const claims = Object.keys(sides).map((side) => ({ side }))
    return { sides, claims, facts: () => ({ database: server }) }
  },
}

const keyCount = Math.floor((days * jobsADay) / timesOfKey)

async function fill(context: Context, store: Store, dir: string): Promise<void> {
  context.log(`  writing ${days} days`)
  const place = new FolderPlace(dir)
  await place.check('write')
  for (let n = 0; n < days; n++) await fillDay(place, n)
  await note(store)
}

async function fillDay(place: FolderPlace, n: number): Promise<void> {
  const day = dayAt(n)
  const jobs = Array.from({ length: jobsADay }, (_, i) =>
    jobRow(day, i * 1000, {
      job_id: uuidOf(n, i),
      job_key: `lot-${(n * jobsADay + i) % keyCount}`,
      app_name: `app-${i % 40}`,
      status: i % 50 === 3 ? 'failed' : 'succeeded',
      started_at: fromMs(toMs(day.from) - (i % 5) * 86_400_000 + i * 1000),
      first_event_at: fromMs(toMs(day.from) - 2 * 86_400_000),
      event_count: 3,
      metadata: JSON.stringify({ tool: `TOOL-${i % 30}`, recipe: `ETCH-${i % 9}` }),
    }),
  )
  const events =
    n < days - daysWithEvents
      ? []
      : Array.from({ length: eventsADay }, (_, i) =>
          eventRow(day, i * 4, {
            idempotency_key: `d0000000-0000-4000-8000-${String(n * eventsADay + i).padStart(12, '0')}`,
            entity_id: uuidOf(Math.min(n + (i % 3), days - 1), i % jobsADay),
          }),
        )
  const parts = [{ kind: 'job' as const, rows: jobs }]
  await writeDay(
    place,
    day,
    events.length > 0 ? [...parts, { kind: 'event' as const, rows: events }] : parts,
  )
}

/** What the database has on record once the archiver has noted all of it, and the hot store has deleted it. */
async function note(store: Store): Promise<void> {
  const run = (text: string) => store.ask(op, (sql) => sql.unsafe(text))
  const day = `date '2015-01-01' + n`
  await run(`
    insert into archived_job (kind, id, job_key, site_id, day, version, updated_at, deleted, started_at)
    select 'job', ('b0000000-0000-4000-8000-' || lpad(n::text, 6, '0') || lpad(i::text, 6, '0'))::uuid,
      'lot-' || (n * ${jobsADay} + i) % ${keyCount}, 'fab1', ${day}, 1, now(), true,
      case when i % 5 > 1 then ((${day})::timestamp - make_interval(days => i % 5, secs => -i)) at time zone 'UTC' end
    from generate_series(0, ${days - 1}) n, generate_series(0, ${jobsADay - 1}) i`)
  await run(`
    insert into archive_manifest (site_id, seq, day, number, sha256, late_events)
    select 'fab1', n + 1, ${day}, 1, repeat('0', 64), 0 from generate_series(0, ${days - 1}) n`)
  await run(`
    insert into archive_file (kind, site_id, starts_at, ends_at, path, rows, bytes, sha256, at_min, at_max, verified_at)
    select 'event', 'fab1', at, at + interval '1 day', 'event/' || n, 1, 1, repeat('0', 64), at, at, now()
    from generate_series(${days - daysWithEvents}, ${days - 1}) n,
      lateral (select (${day})::timestamp at time zone 'UTC' as at) t`)
  await run(
    `update horizon set dropped_before = '2026-01-01', jobs_from = '2026-01-01', frozen_before = '2026-01-01'`,
  )
  await run(`vacuum analyze archived_job`)
}

/** @param path of each request, by its number, which has so many rows. @returns the median time of one, in ms */
function times(api: string, path: (i: number) => string, rows?: number): Turn {
  let asked = 0
  return async (seconds) => {
    const connection = await Connection.open(api)
    const took: number[] = []
    const end = performance.now() + seconds * 100
    while (took.length < 5 || performance.now() < end) {
      const begin = performance.now()
      const answer = expectOk(await connection.get(path(++asked)))
      took.push(performance.now() - begin)
      const { count } = JSON.parse(answer.body) as { count?: number }
      if (rows !== undefined && count !== rows)
        throw new Error(`${path(asked)} has ${count} rows, not ${rows}`)
    }
    connection.close()
    return median(took)
  }
}
