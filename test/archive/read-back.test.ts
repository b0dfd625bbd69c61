import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Event } from '../../src/core/event.ts'
import { toMicros } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'
import { arbitraryEvent } from '../support/histories.ts'
import { freshFolder } from '../support/processes.ts'
import {
  archived,
  archivedAll,
  closedDay,
  dayAt,
  duck,
  eventAt,
  exported,
  parquet,
  run,
  takeIn,
} from './support.ts'

const ddl = readFileSync(new URL('../../sql/archive/duckdb.sql', import.meta.url), 'utf8')

const json = (value: unknown) => (value === null ? null : JSON.parse(String(value)))
const micros = (time: string | null | undefined) => (time ? String(toMicros(time)) : null)

/** An event as the archive has to have it, taken from what was sent. */
function expectedEvent({ idempotency_key, app, entity, event, ...rest }: Event) {
  const known = event.metrics ?? {}
  return {
    key: idempotency_key,
    at: micros(event.at),
    entity: [entity.type, entity.id, entity.parent_id ?? null],
    keys: [entity.business_key ?? null, entity.sub_key ?? null],
    app: [app.app_id, app.name, app.version],
    event: [event.kind, event.status ?? null],
    times: [micros(event.started_at), micros(event.ended_at), micros(rest.received_at)],
    known: [known.duration_s ?? null, known.mem_max_mb ?? null, known.progress ?? null],
    metrics: event.metrics ?? null,
    metadata: event.metadata ?? null,
    historical: rest.historical ?? false,
  }
}

const eventQuestion = (dir: string) => `
  select idempotency_key as k, epoch_us(event_at)::varchar as a, entity_type, entity_id, parent_id,
    business_key, sub_key, app_id, app_name, app_version, kind, status,
    epoch_us(started_at)::varchar as s, epoch_us(ended_at)::varchar as e,
    epoch_us(received_at)::varchar as r, duration_s, mem_max_mb, progress,
    metrics, metadata, historical
  from ${parquet(dir, 'event')} order by k`

const foundEvent = (row: Record<string, unknown>) => ({
  key: row.k,
  at: row.a,
  entity: [row.entity_type, row.entity_id, row.parent_id],
  keys: [row.business_key, row.sub_key],
  app: [row.app_id, row.app_name, row.app_version],
  event: [row.kind, row.status],
  times: [row.s, row.e, row.r],
  known: [row.duration_s, row.mem_max_mb, row.progress],
  metrics: json(row.metrics),
  metadata: json(row.metadata),
  historical: row.historical,
})

/** The same question, in words that both databases understand, but for times and JSON. */
const jobQuestion = (id: string, micros: (column: string) => string, from: string) => `
  select ${id}::varchar as id, ${micros('ended_at')} as e, ${micros('started_at')} as s,
    ${micros('last_event_at')} as l, app_name, job_key, sub_key, status, duration_s, cpu_user_s,
    mem_max_mb, progress, error_count::int as errors, last_error, event_count::int as events
  from ${from} order by id`

async function assertJobsEqual(store: Store, dir: string, table: 'job' | 'subjob') {
  const inStore = await run(
    store,
    jobQuestion(
      `${table}_id`,
      (column) => `(extract(epoch from ${column}) * 1000000)::int8::varchar`,
      `${table} where ended_at is not null`,
    ),
  )
  if (inStore.length === 0) return
  const inArchive = await duck(
    jobQuestion(`${table}_id`, (column) => `epoch_us(${column})::varchar`, parquet(dir, table)),
  )
  const values = (rows: Record<string, unknown>[]) => rows.map((row) => Object.values(row))
  assert.deepEqual(values(inArchive), values(inStore))
}

describe('the archive, read back', () => {
  test('equals any events that were sent, and the jobs they fold to', async (t) => {
    const { store } = await closedDay(t, [eventAt(0)])
    const arrivals = fc.uniqueArray(arbitraryEvent(3), {
      minLength: 1,
      maxLength: 24,
      selector: (event) => event.idempotency_key,
    })
    await fc.assert(
      fc.asyncProperty(arrivals, async (events) => {
        await run(store, 'truncate event, event_late, job, subjob, source')
        await takeIn(store, events)
        const dir = freshFolder()
        await exported(store, dir, { day: dayAt(1) })
        // As JSON carries them: there is no minus zero in it.
        const sent = (JSON.parse(JSON.stringify(events)) as Event[]).map(expectedEvent)
        sent.sort((a, b) => (a.key < b.key ? -1 : 1))
        assert.deepEqual((await duck(eventQuestion(dir))).map(foundEvent), sent)
        await assertJobsEqual(store, dir, 'job')
        await assertJobsEqual(store, dir, 'subjob')
      }),
      { numRuns: 25 },
    )
  })
})

describe('sql/archive/duckdb.sql', () => {
  test('answers with times, days and JSON as such', async (t) => {
    const { store } = await closedDay(t, [eventAt(0), eventAt(60)])
    const dir = freshFolder()
    await exported(store, dir)
    const [row] = await duck(
      ddl,
      `select count(*)::int as n, sum((metrics->>'cd')::double) as cd, min(metadata->>'$.tool') as tool,
         any_value(dt)::varchar as dt,
         epoch(max(event_at) - min(event_at))::int as span_s
       from archived_event('${dir}') where site = 'fab1' and dt = '2026-03-13'`,
    )
    const expected = { n: 2, cd: 76.2, tool: 'E1', dt: '2026-03-13', span_s: 60 }
    assert.deepEqual(row, expected)
  })

  test('has the time as event_at, because `at` is a reserved word in DuckDB', async (t) => {
    const { store } = await closedDay(t, [eventAt(0), eventAt(60)])
    const dir = freshFolder()
    await exported(store, dir)
    const [row] = await duck(
      ddl,
      `select event_at::varchar as first, (select min(event_at) from archived_event('${dir}'))::varchar as least
       from archived_event('${dir}') order by event_at limit 1`,
    )
    const first = '2026-03-13 00:00:00.000001+00'
    assert.deepEqual(row, { first, least: first })
    await assert.rejects(duck(ddl, `select at from archived_event('${dir}')`), /syntax error/)
  })

  test('shows a job that has moved to another day once, as it was last', async (t) => {
    const first = eventAt(0)
    const { store } = await closedDay(t, [first])
    const dir = freshFolder()
    await archived(store, dir)
    const later = eventAt(3600, { kind: 'finished', status: 'failed', metrics: null }, 14)
    await takeIn(store, [{ ...later, entity: first.entity }], 16)
    await archived(store, dir, dayAt(14))
    const question = `select job_id, status, dt::varchar as dt from archived_job('${dir}')`
    assert.equal((await duck(ddl, question)).length, 2, 'its old day does not say so yet')
    await archivedAll(store, dir)
    const last = { job_id: first.entity.id, status: 'failed', dt: '2026-03-14' }
    assert.deepEqual(await duck(ddl, question), [last])
    const old = `${question} where dt = '2026-03-13'`
    assert.deepEqual(await duck(ddl, old), [])
    const [moved] = await duck(
      `select job_id, version::int as version, moved_to, status from read_parquet('${dir}/job/*/dt=2026-03-13/*.parquet')
       where moved_to is not null`,
    )
    const moved_to = 'site=fab1/dt=2026-03-14'
    assert.deepEqual(moved, { job_id: first.entity.id, version: 2, moved_to, status: null })
  })

  test('opens one file of a table where dt = .., not every file', async (t) => {
    const dir = freshFolder()
    const { store } = await closedDay(
      t,
      [3, 5, 7, 9, 11, 13].flatMap((day) => [eventAt(0, {}, day)]),
    )
    await archivedAll(store, dir)
    for (const kind of ['event', 'job']) {
      const [plan] = await duck(
        ddl,
        `explain analyze from archived_${kind}('${dir}') where site = 'fab1' and dt = '2026-03-07'`,
      )
      assert.match(String(plan?.explain_value), /Total Files Read: 1\b/)
    }
  })

  test('has every table', async (t) => {
    const subjob = eventAt(1)
    subjob.entity = { ...subjob.entity, type: 'subjob', parent_id: eventAt(0).entity.id }
    const { store } = await closedDay(t, [eventAt(0), subjob])
    const dir = freshFolder()
    await exported(store, dir)
    const [row] = await duck(
      ddl,
      `select (select count(*)::int from archived_event('${dir}')) as events,
         (select count(*)::int from archived_job('${dir}')) as jobs,
         (select count(*)::int from archived_subjob('${dir}')) as subjobs`,
    )
    assert.deepEqual(row, { events: 2, jobs: 1, subjobs: 1 })
  })
})
