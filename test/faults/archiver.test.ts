import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ingest } from '../../src/store/ingest.ts'
import {
  archiver,
  bothSides,
  hadRound,
  hasManifest,
  health,
  names,
  rowsNoted,
  some,
  verify,
} from '../archive/role.ts'
import { closedDay, eventAt, expire, run, settle, takeIn, wait } from '../archive/support.ts'
import { freshFolder, until } from '../support/processes.ts'
import { fewer, longTest } from '../support/short-form.ts'

describe('wafermon archiver', () => {
  test('archives closed days, notes them and says so', async (t) => {
    const { store, url } = await closedDay(t, some(25))
    const dir = join(freshFolder(), 'archive')
    const role = await archiver(t, url, dir)
    const noted = () => run(store, `select kind, rows::int from archive_file order by kind`)
    await until('the day', async () => (await noted()).length === 2)
    assert.deepEqual(
      (await noted()).map((row) => ({ ...row })),
      [
        { kind: 'event', rows: 25 },
        { kind: 'job', rows: 25 },
      ],
    )
    const metrics = await (await fetch(`${role.url}/metrics`)).text()
    assert.match(metrics, /wafermon_archive_rows_total\{table="event"\} 25/)
    assert.match(metrics, /wafermon_archive_failures_total 0/)
    await until('the round', () => hadRound(role))
    const { code, status, days_archived } = await health(role)
    assert.deepEqual({ code, status, days_archived }, { code: 200, status: 'ok', days_archived: 1 })
    assert.deepEqual(await role.stop(), { code: 0, signal: null })
    assert.deepEqual(verify(dir).problems, [])
  })

  test('catches up on the days of a downtime, oldest first', async (t) => {
    const events = [9, 13, 7, 11].flatMap((day) => some(3, day))
    const { url } = await closedDay(t, events)
    const dir = freshFolder()
    const role = await archiver(t, url, dir)
    await until('the last day', () => hasManifest(dir, 13))
    await role.stop()
    const days = role
      .logs()
      .split('\n')
      .filter((line) => line.includes('day archived'))
      .map((line) => /2026-03-(\d\d)T00:00:00.000000Z/.exec(line)?.[1])
    assert.deepEqual(days, ['07', '09', '11', '13'])
  })

  longTest('leaves a day alone while it is open or its jobs still change', async (t) => {
    const { store, url } = await closedDay(t, [...some(3, 14), ...some(3, 13)])
    await run(store, `update job set updated_at = now()`)
    const dir = freshFolder()
    const role = await archiver(t, url, dir)
    await until('a round', async () => (await health(role)).unsettled_days === 1)
    assert.ok(!hasManifest(dir, 13))
    await settle(store)
    await until('the settled day', () => hasManifest(dir, 13))
    assert.ok(!hasManifest(dir, 14))
  })

  test('waits for settled jobs half a day at most when there are raw events', async (t) => {
    const { store, url } = await closedDay(t, some(3))
    await run(store, `update job set updated_at = now()`)
    await run(store, `update horizon set frozen_before = '2026-03-14T12:00:01Z'`)
    const dir = freshFolder()
    await archiver(t, url, dir)
    await until('the overdue day', () => hasManifest(dir, 13))
  })

  test('never keeps late events in event_late, archives a job again that changed after its day, and tells what waits', async (t) => {
    const { store, url } = await closedDay(t, some(5))
    const dir = freshFolder()
    const role = await archiver(t, url, dir)
    await until('the day', async () => (await rowsNoted(store)) === 10)
    await ingest(store, [eventAt(50), eventAt(60)])
    const waiting = await until('the late events', async () => {
      const now = await health(role)
      return now.late_events_waiting === 2 && now
    })
    assert.deepEqual([waiting.changed_jobs_waiting, waiting.oldest_waiting_day], [2, null])
    const metrics = await (await fetch(`${role.url}/metrics`)).text()
    assert.match(metrics, /^wafermon_archive_late_events 2$/m)
    assert.match(metrics, /^wafermon_archive_changed_jobs 2$/m)
    await wait(store)
    await until('the further part', () => hasManifest(dir, 13, 'fab1', 2))
    await until('nothing to wait', async () => (await health(role)).late_events_waiting === 0)
    assert.equal((await run(store, 'select from event_late')).length, 0)
    assert.deepEqual(verify(dir).problems, [])
  })

  test('archives only the site of SITE_ID', async (t) => {
    const { url } = await closedDay(t, [eventAt(0), { ...eventAt(1), site_id: 'fab2' }])
    const dir = freshFolder()
    const role = await archiver(t, url, dir, { SITE_ID: 'fab2' })
    await until('the day', () => hasManifest(dir, 13, 'fab2'))
    await until('the round', () => hadRound(role))
    assert.deepEqual(readdirSync(join(dir, 'event')), ['site=fab2'])
  })

  test('works alone; a second one takes over when the first is killed', async (t) => {
    const { store, url } = await closedDay(t, some(3, 9))
    const dir = freshFolder()
    const first = await archiver(t, url, dir)
    await until('the first day', () => hasManifest(dir, 9))
    const second = await archiver(t, url, dir)
    await until('a round', () => hadRound(second))
    assert.deepEqual([(await health(second)).code, (await health(second)).here], [200, false])
    await first.kill9()
    await takeIn(store, some(3, 11))
    await until('the second day', () => hasManifest(dir, 11))
    assert.equal((await health(second)).here, true)
  })

  longTest('two that start together archive every day once', async (t) => {
    const { store, url } = await closedDay(
      t,
      [7, 8, 9, 10, 11, 12].flatMap((day) => some(50, day)),
    )
    const dir = freshFolder()
    const both = await Promise.all([archiver(t, url, dir), archiver(t, url, dir)])
    await until('all days', async () => (await rowsNoted(store)) === 600)
    for (const role of both) await until('a round', () => hadRound(role))
    const done = await Promise.all(both.map(async (role) => (await health(role)).days_archived))
    assert.deepEqual(done.sort(), [0, 6])
    assert.deepEqual(verify(dir).problems, [])
    const { archived, hot } = await bothSides(store, dir)
    assert.deepEqual(archived, hot)
  })

  longTest('makes nothing of a day without rows', async (t) => {
    const { url } = await closedDay(t, [...some(3, 9), ...some(3, 11)])
    const dir = freshFolder()
    await archiver(t, url, dir)
    await until('the last day', () => hasManifest(dir, 11))
    const days = ['dt=2026-03-09', 'dt=2026-03-11']
    assert.deepEqual(names(join(dir, 'event/site=fab1')).sort(), days)
    assert.deepEqual(names(join(dir, '_manifest/site=fab1')).sort(), days)
  })

  longTest('archives rows as large as an event may be', async (t) => {
    const noise = (i: number) => `${i} ${'ä€😀'.repeat(3400)}`
    const { store, url } = await closedDay(
      t,
      Array.from({ length: 800 }, (_, i) => eventAt(i, { metadata: { noise: noise(i) } })),
    )
    const dir = freshFolder()
    await archiver(t, url, dir)
    await until('the day', async () => (await rowsNoted(store)) === 1600, 60_000)
    assert.deepEqual(verify(dir).problems, [])
    const { archived, hot } = await bothSides(store, dir)
    assert.deepEqual(archived, hot)
  })

  longTest('keeps odd site ids apart, and leaves the folder for none', async (t) => {
    const odd = ['..a', '-x', 'A.B_c-1', '_', 'site.9', 'x'.repeat(64)]
    const sites = [...odd, 'fab1']
    const { store, url } = await closedDay(
      t,
      sites.map((site, i) => ({ ...eventAt(i), site_id: site })),
    )
    // None of these passes ingest; here they were written into the database directly.
    const evil = ['../../evil', 'a/b', '..', 'a\\nb']
    for (const [i, site] of evil.entries()) {
      await run(
        store,
        `update event set site_id = $$${site}$$ where idempotency_key =
           (select idempotency_key from event where site_id = 'fab1')`,
      )
      await run(
        store,
        `insert into event select (jsonb_populate_record(e, jsonb_build_object(
           'site_id', 'fab1', 'idempotency_key', 'e0000000-0000-4000-8000-00000000000${i}'))).*
         from event e where site_id = $$${site}$$`,
      )
    }
    const above = freshFolder()
    const dir = join(above, 'archive')
    const role = await archiver(t, url, dir)
    await until('a round', () => hadRound(role))
    for (const site of sites) assert.ok(hasManifest(dir, 13, site), site)
    assert.deepEqual(readdirSync(above), ['archive'])
    assert.deepEqual(
      readdirSync(join(dir, 'event')).sort(),
      sites.map((site) => `site=${site}`).sort(),
    )
    const { status, failed_days, failures } = await health(role)
    assert.deepEqual([status, failed_days], ['degraded', evil.length])
    assert.match(JSON.stringify(failures), /is not a site id/)
    assert.deepEqual(verify(dir).problems, [])
  })

  const clocks = [
    ['behind', -20],
    ['ahead', 20],
  ] as const
  for (const [what, years] of fewer(clocks, 2)) {
    test(`archives the same with a clock that is years ${what}`, async (t) => {
      const { store, url } = await closedDay(t, some(5))
      const dir = freshFolder()
      const role = await archiver(t, url, dir, clockOff(years))
      await until('the day', async () => (await rowsNoted(store)) === 10)
      await until('a round', () => hadRound(role))
      assert.equal(
        Math.sign(Date.parse(String((await health(role)).last_run_at)) - Date.now()),
        Math.sign(years),
      )
      assert.ok(!hasManifest(dir, 14))
      const { archived, hot } = await bothSides(store, dir)
      assert.deepEqual(archived, hot)
      const metrics = await (await fetch(`${role.url}/metrics`)).text()
      assert.match(metrics, /^wafermon_archive_behind_seconds 0$/m)
      assert.match(metrics, /^wafermon_retention_behind_seconds \d/m)
    })
  }

  test('continues when its clock jumps', async (t) => {
    const { store, url } = await closedDay(t, some(5, 9))
    const dir = freshFolder()
    const role = await archiver(t, url, dir, clockJumping())
    await until('the first day', async () => (await rowsNoted(store)) === 10)
    role.child.kill('SIGUSR2')
    await until('the jump', async () => String((await health(role)).last_run_at) < '2010')
    await takeIn(store, some(5, 11))
    await until('the second day', async () => (await rowsNoted(store)) === 20)
    assert.deepEqual(verify(dir).problems, [])
  })

  test('drops old events that are archived, and says what holds up the rest', async (t) => {
    const { store, url } = await closedDay(t, some(5))
    await run(store, `update horizon set frozen_before = '2026-03-14T00:00Z'`)
    const dir = freshFolder()
    const role = await archiver(t, url, dir)
    await until('the day', async () => (await rowsNoted(store)) === 10)
    const waits = (why: RegExp) => async () =>
      why.test(String((await health(role)).retention_waits)) && health(role)
    const young = await until('the young', waits(/some of the events were taken in at/))
    assert.deepEqual([young.code, young.status], [200, 'ok'])
    await run(store, `update archive_file set rows = 4 where kind = 'event'`)
    await expire(store)
    const held = await until('the gate', waits(/has 4 events, the database 5/))
    assert.deepEqual([held.code, held.status], [200, 'degraded'])
    const late = /^wafermon_retention_behind_seconds [1-9]/m
    assert.match(await (await fetch(`${role.url}/metrics`)).text(), late)
    const [{ n } = {}] = await run(store, 'select count(*)::int as n from event')
    assert.equal(n, 5)
    await run(store, `update archive_file set rows = 5 where kind = 'event'`)
    await until('the drop', async () => {
      const [row] = await run(store, 'select count(*)::int as n from event')
      return row?.n === 0
    })
    await until('health', async () => (await health(role)).retention_waits === undefined)
    assert.equal(verify(dir).days.length, 1)
  })
})

/** Runs code in the program before anything else. */
const preload = (code: string) => ({
  NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(code)}`,
})

/** Its own clock, moved; the database keeps the right one. */
const clockOff = (years: number) =>
  preload(`const now = Date.now; Date.now = () => now() + ${years} * 31557600000`)

/** As {@link clockOff}, twenty years back once it gets SIGUSR2. */
const clockJumping = () =>
  preload(`const now = Date.now
    process.on('SIGUSR2', () => { Date.now = () => now() - 20 * 31557600000 })`)
