import assert from 'node:assert/strict'
import { uptime } from 'node:os'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { pino } from 'pino'
import { fromMs } from '../../src/core/time.ts'
import { clock } from '../../src/platform/clock.ts'
import type { Store } from '../../src/store/connect.ts'
import { advanceHorizon, dropEventsBefore, setHorizon } from '../../src/store/horizon.ts'
import { ingest } from '../../src/store/ingest.ts'
import { runMaintenance, trimJobs, trimLive } from '../../src/store/maintenance.ts'
import { dropUnarchived } from '../../src/store/retention.ts'
import { judgeTime, slackMs, TimeWatch, type Witnesses } from '../../src/store/trusted-time.ts'
import { type Edition, needsTimescale } from '../support/database.ts'
import { withClock } from '../support/database-clock.ts'
import { until } from '../support/processes.ts'
import { anEvent, count, openStore, readHorizon, run } from '../support/store.ts'

const hour = 3_600_000
const day = 24 * hour
const noon = Date.UTC(2026, 2, 1, 12)
const ago = (hours: number) => fromMs(Date.now() - hours * hour)

/** All agree that it is noon, a minute after the last maintenance, but for what is given. */
const witnesses = (given: Partial<Witnesses> = {}): Witnesses => ({
  databaseMs: noon,
  ownMs: noon,
  sourceMs: null,
  trustedMs: noon - 60_000,
  ...{ uptimeMs: 5 * day, boot: undefined },
  ...{ confirmed: 0, stepped: false },
  ...given,
})
const aMinuteAgo = { ms: noon - 60_000, uptimeMs: 5 * day - 60_000 }

describe('the time that maintenance goes by', () => {
  test('is that of the database while it is as expected and another clock agrees', () => {
    const databaseMs = noon + 0.5 * slackMs
    const sure = { ms: databaseMs, doubt: undefined, stepped: false }
    assert.deepEqual(judgeTime(aMinuteAgo, witnesses({ databaseMs })), sure)
    const wrongOwn = { databaseMs, ownMs: noon - day, sourceMs: noon }
    assert.deepEqual(judgeTime(aMinuteAgo, witnesses(wrongOwn)), sure)
    assert.deepEqual(judgeTime(undefined, witnesses({ databaseMs })), sure)
  })

  const doubts: [string, typeof aMinuteAgo | undefined, Partial<Witnesses>, RegExp][] = [
    ['set forward', aMinuteAgo, { databaseMs: noon + 40 * day }, /set forward by 40\.0 days/],
    ['set back', aMinuteAgo, { databaseMs: noon - 3 * hour }, /set back by 3\.0 hours/],
    [
      'set forward together with the one of this machine',
      aMinuteAgo,
      { databaseMs: noon + 40 * day, ownMs: noon + 40 * day, sourceMs: noon + 40 * day },
      /set forward by 40\.0 days/,
    ],
    ['alone', aMinuteAgo, { ownMs: noon + day, sourceMs: noon - day }, /no source agrees/],
    ['alone at start', undefined, { databaseMs: noon + 40 * day }, /no source agrees/],
    [
      'long after the last maintenance, and only this machine agrees',
      undefined,
      { trustedMs: noon - 8 * day, sourceMs: noon - 8 * day },
      /8\.0 days after the last maintenance/,
    ],
    ['before the last maintenance', undefined, { trustedMs: noon + day }, /24\.0 hours before/],
  ]
  for (const [what, base, given, why] of doubts) {
    test(`is in doubt while the database's clock is ${what}`, () => {
      const { ms, doubt } = judgeTime(base, witnesses(given))
      assert.match(doubt ?? '', why)
      assert.equal(ms, base && noon, 'and goes on by what has passed')
    })
  }

  test('after a long rest is trusted once a source has confirmed it', () => {
    const rested = witnesses({ trustedMs: noon - 100 * day, sourceMs: noon - 5000 })
    const sure = { ms: noon, doubt: undefined, stepped: false }
    assert.deepEqual(judgeTime(undefined, rested), sure)
  })

  test('stays in doubt after a step until a person confirms it, over a restart and when the clock is right again', () => {
    const together = { databaseMs: noon + 3 * day, ownMs: noon + 3 * day, sourceMs: noon + 3 * day }
    const { ms, doubt, stepped } = judgeTime(undefined, witnesses({ ...together, stepped: true }))
    assert.match(doubt ?? '', /set forward by 3\.0 days/)
    assert.deepEqual([ms, stepped], [undefined, true])
    for (const base of [undefined, aMinuteAgo]) {
      const again = judgeTime(base, witnesses({ stepped: true }))
      assert.match(again.doubt ?? '', /was set and is right again; .* wafermon db horizon --set/)
      assert.deepEqual([again.ms, again.stepped], [noon, true], 'the horizon moves on')
    }
  })

  test('never moves by more than what has passed and the slack, whatever the clocks say', () => {
    const ms = fc.integer({ min: 0, max: 4e12 })
    const arbitrary = fc.record({
      ...{ databaseMs: ms, ownMs: ms, sourceMs: fc.option(ms), trustedMs: ms },
      ...{ uptimeMs: fc.integer({ min: 5 * day, max: 900 * day }), confirmed: fc.constant(0) },
      ...{ stepped: fc.boolean(), boot: fc.constant(undefined) },
    })
    fc.assert(
      fc.property(arbitrary, (said) => {
        const expected = aMinuteAgo.ms + said.uptimeMs - aMinuteAgo.uptimeMs
        const verdict = judgeTime(aMinuteAgo, said)
        assert.ok(verdict.ms !== undefined && Math.abs(verdict.ms - expected) <= slackMs)
        const near = [said.ownMs, said.sourceMs ?? Infinity].some(
          (other) => Math.abs(other - said.databaseMs) <= slackMs,
        )
        assert.ok(verdict.doubt !== undefined || near, 'two agree before anything is deleted')
      }),
    )
  })
})

function maintain(t: TestContext, url: string, archive: boolean) {
  const stop = new AbortController()
  const maintenance = runMaintenance(url, {
    ...{ log: pino({ level: 'silent' }), signal: stop.signal, everyMs: 20 },
    ...{ freezeAfterHours: 48, liveKeepHours: 24, archive, retentionHours: 72 },
  })
  t.after(() => {
    stop.abort()
    return maintenance.done
  })
  const end = () => {
    stop.abort()
    return maintenance.done
  }
  const anotherRound = async () => {
    const before = maintenance.state().lastRunAt
    await until('another round', () => maintenance.state().lastRunAt !== before)
    const next = maintenance.state().lastRunAt
    await until('and one that began later', () => maintenance.state().lastRunAt !== next)
  }
  return { state: maintenance.state, anotherRound, end }
}

/** The machine's own clock, and which start of the machine this is. */
function useMachine(t: TestContext) {
  const machine = { aheadMs: 0, boot: 'a start of the machine' }
  t.after(
    clock.use({
      wallMs: () => Date.now() + machine.aheadMs,
      monotonicMs: () => performance.now(),
      uptimeMs: () => uptime() * 1000,
      boot: () => machine.boot,
    }),
  )
  return machine
}

async function fill(store: Store): Promise<void> {
  const old = anEvent(ago(60))
  await run(store, `update horizon set frozen_before = now() - interval '90 hours'`)
  await run(store, `select make_event_partitions(now() - interval '90 hours', now())`)
  await ingest(store, [old, anEvent(ago(30)), anEvent(ago(1))])
}

const counts = async (store: Store) => [
  await count(store, 'event'),
  await count(store, 'job'),
  await count(store, 'live_batch'),
]

function suite(edition: Edition) {
  test('40 days ahead for a round: nothing goes late, health says it, and it needs a person', async (t) => {
    const { store, url, setAhead } = await withClock(t, edition)
    const { state, anotherRound } = maintain(t, url, true)
    await anotherRound()
    await setAhead('40 days')
    await until('a doubt', () => state().doubt)
    await anotherRound()
    assert.match(state().doubt ?? '', /set forward by 40\.0 days/)
    assert.equal(await count(store, 'horizon where stepped'), 1)
    const { frozenBefore, openUntil } = await readHorizon(store)
    assert.ok(frozenBefore <= ago(47) && openUntil <= ago(-49))
    await ingest(store, [anEvent(ago(0))])
    assert.deepEqual([await count(store, 'event'), await count(store, 'event_late')], [1, 0])
    await setAhead('0')
    await until('the clock to be right', () => /right again/.test(state().doubt ?? ''))
    await anotherRound()
    assert.match(state().doubt ?? '', /wafermon db horizon --set/)
    await setHorizon(store, 48, ago(0))
    await until('no doubt', () => state().doubt === undefined)
  })

  test('100 days ahead deletes no event and no job, with an archive or without', async (t) => {
    const { store, url, setAhead } = await withClock(t, edition)
    await fill(store)
    const before = await counts(store)
    assert.deepEqual(before, [3, 3, 1])
    const both = [maintain(t, url, false), maintain(t, url, true)]
    await until('a round', () => both.some(({ state }) => state().lastRunAt !== null))
    await setAhead('100 days')
    await until('a doubt', () => both.every(({ state }) => state().doubt))
    assert.deepEqual(await counts(store), before)
  })

  test('100 days ahead makes nothing old that is not old by the trusted time', async (t) => {
    const { store, setAhead } = await withClock(t, edition)
    await fill(store)
    const before = await counts(store)
    await setAhead('100 days')
    const { signal } = new AbortController()
    assert.equal(await trimLive(store, 24, signal), 0)
    for (const archive of [true, false]) assert.equal(await trimJobs(store, signal, 90, archive), 0)
    assert.deepEqual(await dropUnarchived(store, 72, signal), [])
    assert.deepEqual(await counts(store), before)
  })

  test('3 days ahead with all other clocks while nothing runs: noticed at the next start, and deletes nothing', async (t) => {
    const { store, url, setAhead } = await withClock(t, edition)
    const machine = useMachine(t)
    await fill(store)
    const before = await counts(store)
    const first = maintain(t, url, false)
    await first.anotherRound()
    await first.end()
    assert.deepEqual(await counts(store), before)
    machine.aheadMs = 3 * day
    await setAhead('3 days')
    await run(store, `insert into source values ('s', 'e', '{}', now(), now(), now(), 0, 0)`)
    const { state, anotherRound } = maintain(t, url, false)
    await anotherRound()
    assert.match(state().doubt ?? '', /set forward by 3\.0 days/)
    assert.deepEqual(await counts(store), before)
    const { frozenBefore, openUntil } = await readHorizon(store)
    assert.ok(
      frozenBefore <= ago(47) && openUntil <= ago(-49),
      'the horizon goes by what has passed',
    )
    await setHorizon(store, 48, fromMs(Date.now() + machine.aheadMs))
    await until('no doubt', () => state().doubt === undefined)
  })

  test('100 days ahead when the process starts deletes nothing either', async (t) => {
    const { store, url, setAhead } = await withClock(t, edition)
    await fill(store)
    const before = await counts(store)
    const { frozenBefore } = await readHorizon(store)
    await setAhead('100 days')
    const { state, anotherRound } = maintain(t, url, false)
    await anotherRound()
    assert.match(state().doubt ?? '', /no source agrees with the database/)
    assert.deepEqual(await counts(store), before)
    assert.equal((await readHorizon(store)).frozenBefore, frozenBefore)
  })
}

describe("a database's clock on plain PostgreSQL", () => suite('plain'))
describe("a database's clock on TimescaleDB", needsTimescale, () => suite('timescale'))

describe('a time that was right since the machine started', () => {
  test('is kept once for each start, and again when a person has confirmed the clock', async (t) => {
    const { store, setAhead } = await withClock(t)
    const machine = useMachine(t)
    const kept = () => run(store, 'select boot, trusted_at, confirmed from boot_time order by 2')
    await new TimeWatch().look(store)
    const [first] = await kept()
    await new TimeWatch().look(store)
    assert.deepEqual([...(await kept())], [first])
    machine.boot = 'the next start'
    await new TimeWatch().look(store)
    assert.deepEqual(
      (await kept()).map(({ boot }) => boot),
      ['a start of the machine', 'the next start'],
    )
    const watch = new TimeWatch()
    await watch.look(store)
    machine.aheadMs = 3 * hour
    await setAhead('3 hours')
    assert.equal((await watch.look(store)).stepped, true)
    await setHorizon(store, 48, ago(-3))
    for (const each of [watch, new TimeWatch()]) {
      assert.equal((await each.look(store)).doubt, undefined)
    }
    const [, second] = await kept()
    assert.equal(second?.confirmed, 1)
  })

  test('is remembered for a hundred starts', async (t) => {
    const { store } = await openStore(t, 'plain')
    const machine = useMachine(t)
    for (let i = 0; i < 102; i++) {
      machine.boot = `start ${i}`
      await new TimeWatch().look(store)
    }
    const [row] = await run(
      store,
      'select count(*)::int as n, min(trusted_at) as first from boot_time',
    )
    assert.equal(row?.n, 100)
    assert.equal(await count(store, `boot_time where boot = 'start 101'`), 1)
  })

  test('of another start says nothing about this one', async (t) => {
    const { store, setAhead } = await withClock(t)
    const machine = useMachine(t)
    await new TimeWatch().look(store)
    Object.assign(machine, { boot: 'the next start', aheadMs: 3 * day })
    await setAhead('3 days')
    const { at, stepped } = await new TimeWatch().look(store)
    assert.ok(at !== undefined && at > ago(-71) && !stepped)
  })
})

describe('a doubt about the time', () => {
  test('of a step is not ended by a replica that had looked before the step', async (t) => {
    const { store, setAhead } = await withClock(t)
    const [watch, late] = [new TimeWatch(), await new TimeWatch().look(store)]
    await watch.look(store)
    await setAhead('3 hours')
    await advanceHorizon(store, 48, await watch.look(store))
    await advanceHorizon(store, 48, late)
    assert.equal(await count(store, 'horizon where stepped and doubt is not null'), 1)
  })

  test('keeps everything from being dropped, whoever asks', async (t) => {
    const { store } = await openStore(t, 'plain')
    await fill(store)
    await run(store, `update horizon set frozen_before = now() - interval '1 hour'`)
    await run(store, `update horizon set doubt = 'the clock was set'`)
    await assert.rejects(dropEventsBefore(store, ago(24)), {
      code: 'unavailable',
      message: 'nothing is dropped: the clock was set',
    })
    assert.equal(await count(store, 'event'), 3)
  })

  test('ends when a person confirms the clock of the database', async (t) => {
    const { store, setAhead } = await withClock(t)
    const watch = new TimeWatch()
    assert.equal((await watch.look(store)).doubt, undefined)
    await setAhead('3 hours')
    await run(store, `insert into source values ('s', 'e', '{}', now(), now(), now(), 0, 0)`)
    assert.match((await watch.look(store)).doubt ?? '', /set forward by 3\.0 hours/)
    await setHorizon(store, 48, ago(-3))
    const { at, doubt } = await watch.look(store)
    assert.equal(doubt, undefined)
    assert.ok(at !== undefined && at > ago(-2.9))
  })

  test('does not come back by a round that had looked before the person confirmed', async (t) => {
    const { store, setAhead } = await withClock(t)
    const watch = new TimeWatch()
    await watch.look(store)
    await setAhead('3 hours')
    const before = await watch.look(store)
    assert.ok(before.doubt !== undefined && before.stepped)
    await setHorizon(store, 48, ago(-3))
    await advanceHorizon(store, 48, before)
    assert.equal(await count(store, 'horizon where stepped or doubt is not null'), 0)
  })
})

describe('a horizon that went too far', () => {
  test('is set back by a person, and what came meanwhile is known again', async (t) => {
    const { store } = await openStore(t, 'plain')
    const event = anEvent(ago(1))
    await run(
      store,
      `update horizon set frozen_before = now() + interval '38 days',
         open_until = now() + interval '42 days'`,
    )
    await ingest(store, [event])
    assert.equal(await count(store, 'event_late'), 1)
    await setHorizon(store, 48, ago(0))
    assert.ok((await readHorizon(store)).frozenBefore <= ago(47.9))
    assert.deepEqual((await ingest(store, [event])).verdicts, ['duplicate'])
    await ingest(store, [anEvent(ago(1)), anEvent(ago(-24 * 20))])
    assert.deepEqual([await count(store, 'event'), await count(store, 'event_late')], [2, 1])
  })

  test('is not set below what was archived or dropped', async (t) => {
    const { store } = await openStore(t, 'plain')
    const [archived, dropped] = [ago(30), ago(20)].map(
      (time) => `${time.slice(0, 13)}:00:00.000000Z`,
    )
    await run(store, `update horizon set frozen_before = now() + interval '38 days'`)
    await run(
      store,
      `insert into archive_file (kind, site_id, starts_at, ends_at, path, rows, bytes, sha256)
       values ('event', 'fab1', '${archived}'::timestamptz - interval '1 day', '${archived}', 'p', 1, 1, '')`,
    )
    await setHorizon(store, 48, ago(0))
    assert.equal((await readHorizon(store)).frozenBefore, archived)
    await run(store, `update horizon set dropped_before = '${dropped}'`)
    await setHorizon(store, 48, ago(0))
    assert.equal((await readHorizon(store)).frozenBefore, dropped)
  })
})
