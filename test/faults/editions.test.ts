import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { floorOf } from '../../src/core/cover-window.ts'
import type { Event } from '../../src/core/event.ts'
import { readEvent } from '../../src/core/read-event.ts'
import { fromMs } from '../../src/core/time.ts'
import type { Pool } from '../../src/store/connect.ts'
import { readEdition } from '../../src/store/edition.ts'
import { ingest } from '../../src/store/ingest.ts'
import { migrate } from '../../src/store/migrate.ts'
import { compressFrozen } from '../../src/store/rollups/compress.ts'
import { storeReader } from '../../src/store/store-reader.ts'
import { readApp } from '../api/read-app.ts'
import { freshDatabase, needsTimescale } from '../support/database.ts'
import { openRollups } from '../support/rollups.ts'
import { anEvent, openOn, run } from '../support/store.ts'
import { needsTsl, startTsl } from '../support/tsl.ts'
import { callViews, type View } from '../support/views.ts'

/*
 * One history on every edition of the database: each question of the API, each rollup and each view has the same
 * answer on all of them.
 */

const { signal } = new AbortController()
const log = pino({ level: 'silent' })
const nowMs = Date.now()
const hourMs = 3_600_000
const dayMs = 24 * hourMs
const ago = (hours: number) => fromMs(nowMs - hours * hourMs)
const midnightMs = floorOf('daily', nowMs)

const idOf = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`
const job = (n: number, more = {}) => ({
  entity: { id: idOf(n), business_key: `lot-${n}`, ...more },
})
const start = (n: number, at: string) =>
  anEvent(at, { metadata: { tool: `SCN-${n % 3}`, recipe: 'R1' } }, job(n))
const end = (n: number, at: string, event: Partial<Event['event']> = {}, more = {}) =>
  anEvent(at, { kind: 'finished', ...event }, { ...job(n), ...more })

/** A job whose start and end have these times. */
const whole = (n: number, from: string, to: string, event: Partial<Event['event']> = {}) => [
  start(n, from),
  end(n, to, { started_at: from, ...event }),
]

/** As it comes through the door now, from a sender whose clock is a day ahead. */
function ofClockAhead(): Event {
  const given = { ...start(40, fromMs(nowMs + dayMs)), received_at: undefined }
  const read = readEvent(
    JSON.parse(JSON.stringify(given)),
    { receivedAt: ago(0.2) },
    { maxEventBytes: 1e6, maxSkewS: 600 },
  )
  assert.ok(read.ok)
  assert.ok(read.event.event.at < ago(0))
  return read.event
}

const leapDay = '2024-02-29'
const failed = {
  status: 'failed',
  metadata: { error: 'T3 timeout after 45 s', exit_code: 3 },
} as const
/** In chunks that are compressed before they come again. */
const repeated = [50, 51].flatMap((hours, i) => whole(20 + i, ago(hours), ago(hours - 0.2)))
const source = (seq: number) => ({
  source: { id: 'bn-07', epoch: '0199b2a4-0000-7000-8000-000000000001', seq },
})

const first = [
  start(1, ago(2400.5)),
  ...[2, 3].flatMap((n) => whole(n, ago(2400.4), ago(2400.3))),
  start(4, ago(120)),
  ...repeated,
  ...whole(5, `${leapDay}T23:30:00.000000Z`, '2024-03-01T00:10:00.000000Z'),
  ...whole(6, `${leapDay}T00:00:00.000000Z`, `${leapDay}T00:00:01.500000Z`, failed),
  // On both sides of a midnight, and just at it.
  ...whole(7, fromMs(midnightMs - 1000), fromMs(midnightMs)),
  ...whole(8, fromMs(midnightMs), fromMs(midnightMs + 1)),
  end(9, ago(3), failed, source(1)),
  start(10, ago(1)),
  anEvent(ago(1.5), { kind: 'queued', metadata: { queue: 'short' } }, job(11, { attempt: 2 })),
  end(11, ago(1.2), failed, job(11, { attempt: 1 })),
  anEvent(
    ago(1),
    {},
    { ...job(12), entity: { type: 'subjob', id: idOf(12), parent_id: idOf(10), sub_key: 'W1' } },
  ),
  anEvent(
    ago(1),
    {},
    { ...job(13), entity: { type: 'subjob', id: idOf(13), parent_id: idOf(99) } },
  ),
]
const second = [
  ...repeated,
  // It began after it finished.
  start(9, ago(2)),
  end(30, ago(168), { started_at: ago(168.5), metrics: { duration_s: 1800 } }, source(4)),
  ofClockAhead(),
  end(1, ago(0.5), { started_at: ago(2400.5) }),
  end(4, ago(0.4), { started_at: ago(120) }),
]

type Site = { store: Pool; make: () => Promise<void>; licence: string | null }

/** Lives through the history. @returns what the store said of each event */
async function live({ store, make, licence }: Site): Promise<unknown[]> {
  const freeze = (hours: number) =>
    run(
      store,
      `update horizon set frozen_before = '${ago(hours)}', open_until = '${fromMs(midnightMs + 2 * dayMs)}',
       trusted_at = '${ago(0)}'`,
    )
  await freeze(60)
  await run(store, 'select make_event_partitions(frozen_before, open_until) from horizon')
  const { verdicts } = await ingest(store, first)
  await make()
  // As retention does after 90 days; of that hour the first job is still running.
  await run(store, `delete from job where job_id in ('${idOf(2)}', '${idOf(3)}')`)
  await make()
  await freeze(45)
  if (licence === 'tsl') assert.ok((await compressFrozen(store, signal)) > 0)
  const later = await ingest(store, second)
  // What is missing of a source is not on its way any more.
  await run(store, `update source set lag_s = 0, last_stored_at = now() - interval '1 minute'`)
  await make()
  return [...verdicts, ...later.verdicts]
}

const span = `from=${ago(2401)}&to=${fromMs(nowMs + hourMs)}`
const week = `from=${ago(167.5)}&to=${fromMs(nowMs + hourMs)}`
const year = `from=2024-01-01T00:00:00Z&to=${fromMs(nowMs + hourMs)}`
const ids = [1, 2, 4, 5, 7, 9, 10, 11, 12, 20, 30, 40].map(idOf)

const paths = [
  ...[span, week].flatMap((window) =>
    ['started', 'ended', 'active', 'seen'].flatMap((time) => [
      `/v1/jobs?${window}&time=${time}`,
      `/v1/jobs?${window}&time=${time}&sort=oldest&limit=3`,
      `/v1/jobs?${window}&time=${time}&q=SCN-1`,
      `/v1/subjobs?${window}&time=${time}`,
    ]),
  ),
  `/v1/jobs?${span}&time=started&q=t3%20TIMEOUT&min_duration_s=1`,
  `/v1/jobs?${span}&time=started&min_duration_s=4000`,
  `/v1/jobs?${span}&status=failed&tool=SCN-0`,
  '/v1/jobs?flag=stuck,lost,late',
  `/v1/jobs/by-id?${ids.map((id) => `id=${id}`).join('&')}`,
  ...ids.flatMap((id) => [`/v1/jobs/${id}`, `/v1/jobs/${id}/events`, `/v1/jobs/${id}/subjobs`]),
  '/v1/apps',
  '/v1/sources',
  '/v1/orphans',
  '/v1/running',
  `/v1/causes?${span}&min_failed=0`,
  `/v1/causes?${week}&min_failed=0&recent_from=${ago(20)}`,
  ...['started', 'ended'].flatMap((time) => [
    `/v1/stats?${week}&time=${time}&bucket=hour&group_by=site,app,status`,
    `/v1/stats?${span}&time=${time}&bucket=week&group_by=status&histogram=true`,
    `/v1/stats?${year}&time=${time}&bucket=day`,
    `/v1/stats?${year}&time=${time}&bucket=month&group_by=app`,
  ]),
  `/v1/stats?from=${leapDay}T00:00:00Z&to=2024-03-01T00:00:00Z&bucket=day&group_by=status`,
]

/** When something was written here, which differs by the moment. */
const ofHere = new Set([
  ...['inserted_at', 'updated_at', 'first_seen_at', 'last_seen_at', 'stored_at', 'last_stored_at'],
  ...[
    'accepted_at',
    'checked_at',
    'lag_s',
    'delivered_at',
    'last_delivered_at',
    'oldest_source_age_s',
    'as_of',
  ],
])
const plainly = (answer: unknown) =>
  JSON.parse(JSON.stringify(answer, (name, value) => (ofHere.has(name) ? undefined : value)))

async function askAll(store: Pool): Promise<Record<string, unknown>> {
  const { ask, routes } = readApp({ reader: storeReader(store, { now: () => ago(0) }) })
  const asked = (path: string) =>
    paths.some((one) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/?]+')}($|\\?)`).test(one))
  const unasked = routes.filter(({ method, path }) => method === 'get' && !asked(path))
  assert.deepEqual(
    unasked.map(({ path }) => path),
    ['/v1/stream'],
  )
  const answers: Record<string, unknown> = {}
  for (const path of paths) {
    const response = await ask(path)
    const answer = (await response.json()) as Record<string, unknown>
    const isAbsent = path.startsWith(`/v1/jobs/${idOf(2)}`)
    assert.equal(response.status, isAbsent ? 404 : 200, `${path}: ${JSON.stringify(answer)}`)
    // How long a list took.
    if ('items' in answer) delete answer.duration_s
    if (!isAbsent) answers[path] = plainly(answer)
  }
  return answers
}

/** Each edition has its own pages and sizes. */
const ownViews: readonly View[] = ['chunk_health', 'database_size_overview', 'get_table_bloat']

async function readTables(store: Pool): Promise<Record<string, unknown>> {
  const rows: Record<string, unknown> = {}
  for (const level of ['hourly', 'daily', 'weekly', 'monthly']) {
    const of = (columns: string) => `order by ${columns}`
    const [jobs, events] = [`job_stats_${level}`, `event_stats_${level}`]
    rows[jobs] = await run(
      store,
      `select bucket, entity_type, site_id, app_name, status, n, timed, sum_s, min_s, max_s, histogram, failed, waits
       from ${jobs} ${of('1, 2, 3, 4, 5')}`,
    )
    rows[events] = await run(
      store,
      `select bucket, entity_type, site_id, app_name, kind, n from ${events} ${of('1, 2, 3, 4, 5')}`,
    )
  }
  const views = await callViews(store)
  for (const [name, found] of Object.entries(views)) {
    if (!ownViews.includes(name as View)) rows[name] = found
  }
  return rows
}

/** All that can be read of a site that has lived through the history. */
async function readSite(t: TestContext, url: string, licence: string | null) {
  const store = openOn(t, url)
  const edition = await store.run({ operation: 'test', table: 'none' }, readEdition)
  assert.equal(edition.licence, licence)
  const { make } = await openRollups(t, url)
  const verdicts = await live({ store, make, licence })
  const answers = await askAll(store)
  return { verdicts, answers, tables: plainly(await readTables(store)) }
}

type Read = Awaited<ReturnType<typeof readSite>>

let asked: Promise<Read> | undefined
/** On plain PostgreSQL; once for all tests. */
async function readPlain(t: TestContext): Promise<Read> {
  asked ??= (async () => readSite(t, (await freshDatabase(t)).url, null))()
  return asked
}

function compare(ours: Read, plain: Read): void {
  assert.deepEqual(ours.verdicts, plain.verdicts)
  for (const path of paths) assert.deepEqual(ours.answers[path], plain.answers[path], path)
  for (const name of Object.keys(plain.tables)) {
    if (name === 'system_health') continue
    assert.deepEqual(ours.tables[name], plain.tables[name], name)
  }
}

describe('one history', () => {
  test('on plain PostgreSQL is what was reported', async (t) => {
    const { verdicts, answers, tables } = await readPlain(t)
    const repeats = verdicts.flatMap((verdict, n) => (verdict === 'duplicate' ? [n] : []))
    assert.deepEqual(
      repeats,
      repeated.map((_, n) => first.length + n),
    )
    const list = answers[`/v1/jobs?${span}&time=started`] as { items: Record<string, unknown>[] }
    const of = (n: number) => list.items.find(({ job_id }) => job_id === idOf(n))
    assert.deepEqual([of(1)?.status, of(1)?.duration_s], ['succeeded', 2400 * 3600])
    assert.deepEqual([of(4)?.status, of(4)?.duration_s], ['succeeded', 119.6 * 3600])
    assert.equal(of(9)?.end_before_start, true)
    assert.deepEqual([of(30)?.duration_s, of(40)?.status], [1800, 'running'])
    const hours = tables.job_stats_hourly as { bucket: string; status: string; n: number }[]
    const began = fromMs(floorOf('hourly', nowMs - 2400.5 * hourMs))
    const counted = hours.filter(
      ({ bucket }) => bucket === began || bucket === fromMs(Date.parse(began) + hourMs),
    )
    // Those that were deleted, and the one that ended a hundred days later.
    assert.deepEqual(
      counted.map(({ status, n }) => [status, n]).reduce((sum, [, n]) => sum + Number(n), 0),
      3,
    )
    assert.ok(counted.every(({ status }) => status === 'succeeded'))
    const days = tables.job_stats_daily as { bucket: string; n: number }[]
    const leap = days.filter(({ bucket }) => bucket.startsWith(leapDay))
    assert.deepEqual(
      leap.map(({ n }) => n),
      [1, 1],
    )
  })

  test('has the same answers on TimescaleDB', needsTimescale, async (t) => {
    const { url } = await freshDatabase(t, { edition: 'timescale' })
    compare(await readSite(t, url, 'apache'), await readPlain(t))
  })

  test('has the same answers under the Timescale licence', needsTsl, async (t) => {
    const { url } = await startTsl(t)
    await migrate(url, log)
    compare(await readSite(t, url, 'tsl'), await readPlain(t))
  })
})
