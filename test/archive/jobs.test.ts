import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { describe, test } from 'node:test'
import { ingest } from '../../src/store/ingest.ts'
import { trimJobs } from '../../src/store/maintenance.ts'
import { freshFolder } from '../support/processes.ts'
import { archived, archivedAll, closedDay, dayAt, duck, eventAt, run } from './support.ts'

const ddl = readFileSync(new URL('../../sql/archive/duckdb.sql', import.meta.url), 'utf8')
const { signal } = new AbortController()

describe('a job that changes after its day was archived', () => {
  test('is archived again, as its next version', async (t) => {
    const first = eventAt(0)
    const { store } = await closedDay(t, [first])
    const dir = freshFolder()
    await archived(store, dir)
    await ingest(store, [{ ...eventAt(5, { kind: 'error', status: null }), entity: first.entity }])
    await archived(store, dir)
    const versions = await duck(
      `select version::int as v, error_count::int as errors from read_parquet('${dir}/job/*/*/*.parquet') order by 1`,
    )
    assert.deepEqual(versions, [
      { v: 1, errors: 0 },
      { v: 2, errors: 1 },
    ])
    const last = await duck(
      ddl,
      `select version::int as v, error_count::int as errors from archived_job('${dir}')`,
    )
    assert.deepEqual(last, [{ v: 2, errors: 1 }])
    const [noted] = await run(store, 'select version, site_id, day::text as day from archived_job')
    assert.deepEqual({ ...noted }, { version: 2, siteId: 'fab1', day: '2026-03-13' })
  })

  test('is not deleted before that version was read back', async (t) => {
    const first = eventAt(0)
    const { store } = await closedDay(t, [first])
    const dir = freshFolder()
    await archived(store, dir)
    await ingest(store, [{ ...eventAt(5, { kind: 'error', status: null }), entity: first.entity }])
    const long = `now() - interval '100 days'`
    await run(store, `update job set last_event_at = ${long}, updated_at = ${long}`)
    assert.equal(await trimJobs(store, signal, 90, true), 0)
    await archived(store, dir)
    assert.equal(await trimJobs(store, signal, 90, true), 1)
  })

  test('and moves back and forth lies in one day only', async (t) => {
    const first = eventAt(0)
    const { store } = await closedDay(t, [first])
    const dir = freshFolder()
    await archived(store, dir)
    const ending = (day: number, seconds: number) => ({
      ...eventAt(seconds, { ended_at: dayAt(day).from }, 13),
      entity: first.entity,
    })
    for (const [day, seconds] of [
      [12, 10],
      [11, 20],
      [13, 30],
    ] as const) {
      await ingest(store, [ending(day, seconds)])
      await archivedAll(store, dir)
      const lies = await duck(ddl, `select dt::varchar as dt from archived_job('${dir}')`)
      assert.deepEqual(lies, [{ dt: `2026-03-${day}` }])
    }
    assert.equal((await run(store, 'select from archive_move')).length, 0)
  })
})

describe('a job that never ended', () => {
  test('is not deleted after 90 days without having been archived, as running, by the day of its last event', async (t) => {
    const { store } = await closedDay(t, [eventAt(0, { kind: 'started', metrics: null })])
    const dir = freshFolder()
    await archivedAll(store, dir)
    assert.equal((await run(store, 'select from archived_job')).length, 0)
    const silent = (days: number) =>
      run(store, `update job set updated_at = now() - interval '${days} days'`)
    await silent(88)
    await archivedAll(store, dir)
    assert.equal((await run(store, 'select from archived_job')).length, 0, 'it may still end')
    await silent(91)
    assert.equal(await trimJobs(store, signal, 90, true), 0, 'the archive does not have it')
    await archivedAll(store, dir)
    const found = await duck(
      ddl,
      `select status, ended_at, dt::varchar as dt from archived_job('${dir}')`,
    )
    assert.deepEqual(found, [{ status: 'running', ended_at: null, dt: '2026-03-13' }])
    assert.equal(await trimJobs(store, signal, 90, true), 1)
  })
})

describe('a job that was deleted', () => {
  test('and of which an event comes later keeps its whole state in the archive', async (t) => {
    const first = eventAt(0)
    const { store } = await closedDay(t, [first])
    const dir = freshFolder()
    await archived(store, dir)
    const long = `now() - interval '100 days'`
    await run(store, `update job set last_event_at = ${long}, updated_at = ${long}`)
    await run(store, `update archived_job set updated_at = (select updated_at from job)`)
    assert.equal(await trimJobs(store, signal, 90, true), 1)
    const late = { ...eventAt(5, { metadata: { part: true } }), entity: first.entity }
    await ingest(store, [late])
    await archivedAll(store, dir)
    const found = await duck(
      ddl,
      `select version::int as v, metadata->>'tool' as tool from archived_job('${dir}')`,
    )
    assert.deepEqual(found, [{ v: 1, tool: 'E1' }])
    const [row] = await duck(
      `select count(*)::int as n from read_parquet('${dir}/event/*/*/*.parquet')`,
    )
    assert.equal(row?.n, 2, 'the event itself is archived')
    await run(store, `update job set last_event_at = ${long}, updated_at = ${long}`)
    assert.equal(await trimJobs(store, signal, 90, true), 1)
  })
})
