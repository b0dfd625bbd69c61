import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { pino } from 'pino'
import type { Event } from '../../src/core/event.ts'
import { maxHashes } from '../../src/core/slots.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { ReuseAlarm } from '../../src/store/reuse-alarm.ts'
import { listSources } from '../../src/store/sources.ts'
import { anEvent, count, openStore, run } from '../support/store.ts'

/*
 * Events that come again, or with numbers that came before, once the raw rows are gone: what is a
 * repeat changes nothing, and what is new is never taken for one.
 */

const minute = (n: number) => `2026-03-01T12:${String(n).padStart(2, '0')}:00.000000Z`
const id = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`

/** One opening of a spool. */
const opening = '20260301T115900000Z-0123456789abcdef'

type Told = Partial<Event['event']> & {
  seq?: number
  job?: number
  received?: string
  epoch?: string
}

/** An event of one spool, by default of a job of its own number. */
function from(
  spool: string,
  at: string,
  { seq = 1, job = 1, received = at, epoch = opening, ...event }: Told,
) {
  const source = { id: spool, epoch, seq }
  return anEvent(at, event, { source, received_at: received, entity: { id: id(job) } })
}

const through = (spool: string, events: Event[]) =>
  events.map((event, i) => ({ ...event, source: { id: spool, epoch: opening, seq: i + 1 } }))

let store: Store
const cleanups: (() => unknown)[] = []
const keep = (cleanup: () => unknown) => cleanups.unshift(cleanup)
before(async () => {
  store = (await openStore({ after: keep as never }, 'plain')).store
  await run(store, `select make_event_partitions('2026-03-01', '2026-03-02')`)
})
after(async () => {
  for (const cleanup of cleanups) await cleanup()
})

/** One database for all: each begins with a day that is open and empty. */
beforeEach(() =>
  run(
    store,
    `truncate event, event_late, job, subjob, source, source_state, app, live_batch, clock_correction;
     update horizon set frozen_before = '2026-03-01', open_until = '2026-03-02',
       dropped_before = '-infinity', jobs_from = '-infinity'`,
  ),
)

/** As after retention: what was taken in lies below the line, and its raw rows are gone. */
const dropRaw = () =>
  run(
    store,
    `truncate event, event_late;
     update horizon set frozen_before = '2026-03-02', dropped_before = '2026-03-02'`,
  )

async function countsOf() {
  const [row] = await run(
    store,
    `select sum(event_count)::int as events, sum(error_count)::int as errors
     from (table job union all table subjob) j`,
  )
  return row as { events: number; errors: number }
}

const allAre = (verdict: 'stored' | 'duplicate', n: number) =>
  Array.from({ length: n }, () => verdict)

describe('an event that comes again after its raw row is gone', () => {
  test('through a sidecar whose clock is behind, which corrected it, is counted once', async () => {
    const first = from('bn-07', minute(3), { kind: 'started' })
    await ingest(store, [first])
    await dropRaw()
    const corrected = { ...first.event, at: minute(1), reported_at: minute(3) }
    const copy = { ...through('bn-08', [first])[0]!, event: corrected, received_at: minute(1) }
    assert.deepEqual((await ingest(store, [copy])).verdicts, ['duplicate'])
    assert.equal((await countsOf()).events, 1)
  })

  test('through another spool, or without one, is counted once', async () => {
    const subjob = anEvent(
      minute(3),
      { kind: 'error' },
      {
        entity: { type: 'subjob', id: id(9), parent_id: id(1) },
        source: { id: 'bn-07', epoch: opening, seq: 4 },
      },
    )
    const events = [
      from('bn-07', minute(0), { kind: 'started' }),
      from('bn-07', minute(1), { kind: 'error', seq: 2 }),
      from('bn-07', minute(2), { kind: 'finished', seq: 3 }),
      subjob,
    ]
    await ingest(store, events)
    const before = await countsOf()
    assert.deepEqual(before, { events: 4, errors: 2 })
    await dropRaw()
    for (const again of [
      through('restored', events),
      through('restored', events.toReversed()),
      events.map(({ source, ...event }) => event),
      events,
    ]) {
      const { verdicts, reused } = await ingest(store, again)
      assert.deepEqual(verdicts, allAre('duplicate', 4))
      assert.deepEqual(reused, [])
    }
    assert.deepEqual(await countsOf(), before)
    assert.equal(await count(store, 'event_late'), 0)
  })

  test('is known by a job of thousands of ticks where it is a start, an end or an error', async () => {
    const ticks = Array.from({ length: 3000 }, (_, i) =>
      from('bn-07', `2026-03-01T12:10:00.${String(i).padStart(6, '0')}Z`, {
        ...{ kind: i % 2 ? 'progress' : 'metric', seq: i + 1 },
      }),
    )
    const others = [
      from('bn-07', minute(0), { kind: 'started', seq: 3001 }),
      ...Array.from({ length: 40 }, (_, i) =>
        from('bn-07', minute(i), { kind: 'error', seq: 3002 + i }),
      ),
      from('bn-07', minute(59), { kind: 'finished', seq: 3042 }),
    ]
    const all = [...ticks, ...others]
    for (let i = 0; i < all.length; i += 1000) await ingest(store, all.slice(i, i + 1000))
    await dropRaw()
    const ends = await ingest(store, through('restored', others))
    assert.deepEqual(ends.verdicts, allAre('duplicate', others.length))
    const again = await ingest(store, through('again', ticks.slice(0, 1000)))
    assert.ok(again.verdicts.includes('stored'), 'a tick beyond the memory counts again')
    assert.equal((await countsOf()).errors, 40)
  })

  test('is stored once when it is new, however many its job remembers', async () => {
    await ingest(store, [from('bn-07', minute(0), { kind: 'started' })])
    await dropRaw()
    const late = from('bn-08', minute(1), { kind: 'error' })
    assert.deepEqual((await ingest(store, [late, late])).verdicts, ['stored', 'duplicate'])
    assert.deepEqual((await ingest(store, through('bn-09', [late]))).verdicts, ['duplicate'])
    assert.deepEqual(await countsOf(), { events: 2, errors: 1 })
  })

  test('is known by its number where its job is older than its memory, or deleted', async () => {
    const events = [1, 2, 3].map((n) => from('bn-07', minute(n), { seq: n, job: n }))
    await ingest(store, events)
    await dropRaw()
    await run(store, 'update job set event_hashes = null')
    assert.deepEqual((await ingest(store, events)).verdicts, allAre('duplicate', 3))
    await run(store, `delete from job; update horizon set jobs_from = '${minute(3)}'`)
    assert.deepEqual((await ingest(store, events)).verdicts, allAre('duplicate', 3))
    assert.equal(await count(store, 'job'), 0)
  })
})

describe('a number that came before with another event', () => {
  const fifty = (change: (n: number) => Told) =>
    Array.from({ length: 50 }, (_, i) =>
      from('bn-07', minute(i), { kind: 'error', seq: i + 1, ...change(i + 1) }),
    )
  const all50 = [{ source: 'bn-07', epoch: opening, count: 50, numbers: [{ from: 1, to: 50 }] }]

  for (const [name, change] of [
    ['of jobs that are here', (n: number) => ({ job: n })],
    ['of one job that is here', () => ({ job: 7 })],
    ['of jobs that were never here', (n: number) => ({ job: 100 + n })],
    [
      'that its spool accepted later',
      (n: number) => ({ job: n, received: '2026-03-09T00:00:00.000000Z' }),
    ],
  ] as const) {
    test(`below the line of what was dropped costs none of 50 events ${name}`, async () => {
      await ingest(
        store,
        fifty((n) => ({ job: n })),
      )
      await dropRaw()
      const other = fifty(change)
      const { verdicts, reused } = await ingest(store, other)
      assert.deepEqual(verdicts, allAre('stored', 50))
      assert.deepEqual(reused, all50)
      assert.equal((await countsOf()).events, 100)
      assert.deepEqual((await ingest(store, other)).reused, [], 'a repeat is no second event')
      assert.equal((await countsOf()).events, 100)
    })
  }

  test('is told apart from a repeat by the time of its acceptance, where its job cannot know', async () => {
    const ticks = Array.from({ length: 2 * maxHashes }, (_, i) =>
      from('bn-07', minute(i % 60), { kind: 'progress', seq: i + 1, received: minute(59) }),
    )
    await ingest(store, ticks)
    await dropRaw()
    const received = '2026-03-02T09:00:00.000000Z'
    const later = ticks.map(({ source }) =>
      from('bn-07', minute(30), { kind: 'progress', seq: source!.seq, received }),
    )
    // The second request was accepted before the first and overtaken by it.
    for (const half of [later.slice(maxHashes), later.slice(0, maxHashes)]) {
      assert.deepEqual((await ingest(store, half)).verdicts, allAre('stored', maxHashes))
    }
  })

  test('is lost below the line only when all of six things are true, and not when one is false', async () => {
    type Case = {
      /** What came with the number first: of the same job, unless told otherwise. */
      first?: Told
      /** How many events the job has, of which it remembers 64. */
      count?: number
      change?: string
      second?: Told
    }
    const accepted = minute(59)
    const [before, later] = [minute(58), '2026-03-09T00:00:00.000000Z']
    const verdictOn = async ({ first = {}, count = 2 * maxHashes, change, second = {} }: Case) => {
      await run(store, 'truncate event, event_late, job, source')
      await run(
        store,
        `update horizon set frozen_before = '2026-03-01', dropped_before = '-infinity'`,
      )
      const ticks = Array.from({ length: count }, (_, i) =>
        from('bn-07', minute(i % 50), {
          ...{ kind: 'progress', seq: i + 1, received: accepted },
          ...first,
        }),
      )
      await ingest(store, ticks)
      await dropRaw()
      if (change) await run(store, change)
      const other = from('bn-07', minute(55), {
        ...{ kind: 'progress', seq: 1, received: before },
        ...second,
      })
      return (await ingest(store, [other])).verdicts[0]
    }
    // A machine cloned while its sidecar ran: two sidecars number under one opening.
    assert.equal(await verdictOn({}), 'duplicate', 'all six are true')
    const cases: [string, Case][] = [
      [
        'its raw row would still be there',
        { change: `update horizon set dropped_before = '2026-03-01'` },
      ],
      ['its number never came', { second: { seq: 9999 } }],
      ['its job has no more events than it remembers', { count: maxHashes }],
      ['its job was never here', { second: { job: 2 } }],
      ['its spool accepted it after everything that had come', { second: { received: later } }],
      [
        'that opening is known to have given a number twice',
        { change: `update source set reused = '{[7,8)}'` },
      ],
      ...['20260301T115900000Z-01234567', 'e1'].map((epoch): [string, Case] => [
        `its numbers are not of one opening (${epoch})`,
        { first: { epoch }, second: { epoch } },
      ]),
    ]
    for (const [name, one] of cases) assert.equal(await verdictOn(one), 'stored', name)
  })

  test('is no proof any more once one number of its opening came with two events', async () => {
    const ticks = Array.from({ length: 2 * maxHashes }, (_, i) =>
      from('bn-07', minute(i % 60), { kind: 'progress', seq: i + 1, received: minute(59) }),
    )
    await ingest(store, ticks)
    await dropRaw()
    const clone = (seq: number, job: number) =>
      from('bn-07', minute(30), { kind: 'progress', seq, job, received: minute(58) })
    // Of a job that was never here: known to be new, and that its number was used.
    const { reused } = await ingest(store, [clone(100, 2)])
    assert.equal(reused[0]?.count, 1)
    assert.deepEqual((await ingest(store, [clone(5, 1)])).verdicts, ['stored'])
  })

  test('is reported above that line as well, also from two events of one request', async () => {
    await ingest(store, [
      from('bn-07', minute(1), { seq: 1 }),
      from('bn-07', minute(2), { seq: 2 }),
    ])
    const twice = [5, 5].map((seq, i) => from('bn-07', minute(3 + i), { seq }))
    const { verdicts, reused } = await ingest(store, [
      from('bn-07', minute(5), { seq: 2 }),
      from('bn-07', minute(6), { seq: 6 }),
      ...twice,
    ])
    assert.deepEqual(verdicts, allAre('stored', 4))
    const numbers = [2, 5].map((n) => ({ from: n, to: n }))
    assert.deepEqual(reused, [{ source: 'bn-07', epoch: opening, count: 2, numbers }])
    const first = await ingest(
      store,
      [8, 8].map((seq, i) => from('bn-09', minute(8 + i), { seq })),
    )
    assert.equal(first.reused[0]?.count, 1)
    const { signal } = new AbortController()
    const { items } = await listSources(store, {}, signal)
    const found = items.map(({ id, reused }) => [id, reused])
    assert.deepEqual(found, [
      ['bn-07', 2],
      ['bn-09', 1],
    ])
  })

  test('is not seen in repeats, retries and refused events', async () => {
    const events = [1, 2, 3].map((n) => from('bn-07', minute(n), { seq: n, job: n }))
    const poisoned = from('bn-07', minute(4), { seq: 4, metadata: { text: '\u0000' } })
    const found = await ingest(store, [...events, poisoned])
    assert.equal(typeof found.verdicts[3], 'object')
    const healed = { ...poisoned, event: { ...poisoned.event, metadata: {} } }
    for (const again of [[events[0]!, events[0]!], [...events, healed], events.toReversed()]) {
      assert.deepEqual((await ingest(store, again)).reused, [])
    }
  })

  test('is an alarm with the name of the spool, on every replica and after a restart', async () => {
    const alarmOf = () => {
      const lines: string[] = []
      const metrics = new Metrics()
      const log = pino({ base: null }, { write: (line: string) => lines.push(line) })
      return { alarm: new ReuseAlarm(store, log, metrics), lines, metrics }
    }
    const { alarm, lines, metrics } = alarmOf()
    const first = await ingest(
      store,
      fifty((n) => ({ job: n })),
    )
    alarm.raise(first.reused)
    assert.deepEqual([lines, await alarm.spools()], [[], []])
    alarm.raise(
      (
        await ingest(
          store,
          fifty((n) => ({ job: n })),
        )
      ).reused,
    )
    assert.match(
      lines.join(),
      /"source":"bn-07","epoch":"20260301T[^"]*","count":50.*gave numbers again/,
    )
    alarm.raise(
      (
        await ingest(
          store,
          fifty((n) => ({ job: n })),
        )
      ).reused,
    )
    assert.equal(lines.length, 1, 'the log names a spool once a minute')
    assert.match(await metrics.registry.metrics(), /^wafermon_reused_numbers_total 100$/m)
    for (const one of [alarm, alarmOf().alarm]) {
      const named = (await one.spools()).map(({ last_at, ...spool }) => spool)
      assert.deepEqual(named, [{ source: 'bn-07', epoch: opening, numbers: 50 }])
    }
    await run(store, `update source set reused_at = now() - interval '25 hours'`)
    assert.deepEqual(await alarm.spools(), [])
  })
})
