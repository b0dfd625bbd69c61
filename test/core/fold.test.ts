import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { entryFromSlots, listAttempts } from '../../src/core/attempts.ts'
import type { Event } from '../../src/core/event.ts'
import { foldEvents, mergeSlots, toShown } from '../../src/core/fold.ts'
import type { Slots } from '../../src/core/slots.ts'
import { arbitraryArrival, noon, permutations, splits } from '../support/histories.ts'
import { ModelSidecar } from '../support/model-sidecar.ts'
import { type Expected, expectedRows } from '../support/oracle.ts'

/** Folds each batch by itself, as ingest does, and merges it into what was there. */
function foldBatches(batches: Event[][]): Map<string, Slots> {
  const rows = new Map<string, Slots>()
  const seen = new Set<string>()
  for (const batch of batches) {
    const fresh = batch.filter((event) => {
      const known = seen.has(event.idempotency_key)
      seen.add(event.idempotency_key)
      return !known
    })
    const { jobs, subjobs } = foldEvents(fresh)
    for (const [type, found] of [
      ['job', jobs],
      ['subjob', subjobs],
    ] as const) {
      for (const slots of found) {
        const known = rows.get(type + slots.id)
        if (known) mergeSlots(known, slots)
        else rows.set(type + slots.id, slots)
      }
    }
  }
  return rows
}

function asExpected(slots: Slots): Expected {
  const shown = toShown(slots)
  const current = { attempt: slots.attempt, status: shown.status }
  const attempts = listAttempts(current, entryFromSlots(slots), slots.attempts ?? null)
  return {
    id: slots.id,
    parent: slots.parent_id ?? null,
    site: slots.site_id,
    app: slots.app_name,
    key: slots.job_key ?? null,
    subKey: slots.sub_key ?? null,
    status: shown.status,
    startedAt: shown.startedAt,
    endedAt: slots.ended_at ?? null,
    durationS: shown.durationS,
    cpuUserS: slots.cpu_user_s ?? null,
    cpuSystemS: slots.cpu_system_s ?? null,
    memMaxMb: slots.mem_max_mb ?? null,
    progress: slots.progress ?? null,
    metrics: Object.fromEntries(Object.entries(slots.metrics ?? {}).map(([n, [, v]]) => [n, v])),
    metadata: shown.metadata,
    errorCount: slots.error_count,
    lastError: slots.last_error ?? null,
    lastEventAt: slots.last_event_at,
    eventCount: slots.event_count,
    queuedAt: slots.queued_at ?? null,
    queueS: shown.queueS,
    attempt: slots.attempt,
    failedAttempts: attempts.filter(({ status }) => status === 'failed').length,
    attempts,
  }
}

const event = (
  kind: Event['event']['kind'],
  at: string,
  more: Partial<Event['event']> = {},
): Event => ({
  idempotency_key: crypto.randomUUID(),
  site_id: 'fab1',
  app: { app_id: 'a0000000-0000-4000-8000-000000000001', name: 'etch', version: '' },
  entity: { type: 'job', id: 'b0000000-0000-4000-8000-000000000001' },
  event: { kind, at, ...more },
  received_at: at,
})

/** The start of another job. */
const ofJob = (n: number) => ({
  ...event('started', at(0)),
  entity: { type: 'job' as const, id: `b0000000-0000-4000-8000-00000000000${n}` },
})

/** A sidecar sends JSON, which has no -0. */
const asJson = (value: unknown) => JSON.parse(JSON.stringify(value))

const through = (sidecar: ModelSidecar, batches: Event[][]) =>
  batches.map((batch) => sidecar.forward(batch, at(30)))

const at = (minute: number) => noon.replace(':00:00', `:${String(minute).padStart(2, '0')}:00`)
const one = (...events: Event[]) => asExpected([...foldBatches([events]).values()][0]!)

describe('the fold', () => {
  test('agrees with wire.md, section 5, for every order, repetition and split into batches', () => {
    fc.assert(
      fc.property(arbitraryArrival(), ({ events, batches }) => {
        const rows = foldBatches(batches)
        const expected = expectedRows(events)
        assert.deepEqual([...rows.keys()].sort(), [...expected.keys()].sort())
        for (const [name, slots] of rows) assert.deepEqual(asExpected(slots), expected.get(name))
      }),
      { numRuns: 500 },
    )
  })

  test('is the same for every order and split, with and without a sidecar that restarts and forgets', () => {
    fc.assert(
      fc.property(arbitraryArrival(3, 12), fc.infiniteStream(fc.nat(3)), (arrival, dice) => {
        const sidecars = [new ModelSidecar(1), new ModelSidecar(100)]
        const delivered = arrival.batches.map((batch) => {
          const way = dice.next().value!
          if (way === 3) return batch
          if (way === 2) sidecars[1]!.restart()
          return sidecars[way % 2]!.forward(batch, at(30))
        })
        const expected = expectedRows(arrival.events)
        for (const [name, slots] of foldBatches(delivered)) {
          assert.deepEqual(asJson(asExpected(slots)), asJson(expected.get(name)))
        }
      }),
      { numRuns: 500 },
    )
  })

  test('of two starts takes the earlier, in all orders and splits, whatever a sidecar adds', () => {
    const events = [
      event('started', at(1)),
      event('started', at(3)),
      event('finished', at(6)),
      event('progress', at(5), { started_at: at(2), started_at_added: true }),
    ]
    const forgetting = (batches: Event[][]) => {
      const sidecar = new ModelSidecar(1)
      return batches.map((batch) => {
        sidecar.forward([ofJob(2), ofJob(3)], at(30))
        return sidecar.forward(batch, at(30))
      })
    }
    const ways: [string, (batches: Event[][]) => Event[][]][] = [
      ['no sidecar', (batches) => batches],
      ['one that remembers', (batches) => through(new ModelSidecar(100), batches)],
      ['one that restarts', (batches) => batches.flatMap((b) => through(new ModelSidecar(9), [b]))],
      ['one that forgets', forgetting],
    ]
    for (const order of permutations(events)) {
      for (const batches of splits(order)) {
        for (const [name, way] of ways) {
          const [slots] = foldBatches(way(batches)).values()
          const { startedAt, durationS } = toShown(slots!)
          const told = `${name}: ${batches.map((b) => b.map((e) => e.event.at))}`
          assert.deepEqual([startedAt, durationS], [at(1), 300], told)
        }
      }
    }
  })

  test('does not take a start that a hop added for one that the program gave', () => {
    const added = event('finished', at(9), { started_at: at(3), started_at_added: true })
    assert.equal(one(added).startedAt, at(3))
    assert.equal(one(added, event('started', at(1))).startedAt, at(1))
    assert.equal(one(added, event('progress', at(7), { started_at: at(6) })).startedAt, at(6))
  })

  test('never reopens a job: a late start and progress leave its end alone', () => {
    const row = one(event('finished', at(5)), event('progress', at(9)), event('started', at(1)))
    assert.equal(row.status, 'succeeded')
    assert.equal(row.startedAt, at(1))
    assert.equal(row.durationS, 240)
  })

  test('lets the latest of several ends decide', () => {
    const row = one(event('finished', at(5), { status: 'failed' }), event('finished', at(7)))
    assert.equal(row.status, 'succeeded')
    assert.equal(row.endedAt, at(7))
    assert.equal(row.errorCount, 1)
  })

  test('counts the start back from a given duration when no event tells it', () => {
    assert.equal(one(event('finished', at(5), { metrics: { duration_s: 60 } })).startedAt, at(4))
  })

  test('ignores an invalid duration, rather than refusing the end of a job', () => {
    for (const duration_s of [-1, 1e300]) {
      const row = one(
        event('finished', at(5), { metrics: { duration_s } }),
        event('started', at(3)),
      )
      assert.equal(row.durationS, 120)
    }
  })

  test('ignores an impossible value, and keeps the one before', () => {
    const metrics = { progress: 0.4, cpu_user_s: 2, cpu_system_s: 1, mem_max_mb: 80 }
    const wrong = { progress: 40, cpu_user_s: -1, cpu_system_s: -1, mem_max_mb: -1 }
    const row = one(
      event('progress', at(2), { metrics }),
      event('progress', at(3), { metrics: wrong }),
    )
    assert.deepEqual([row.progress, row.cpuUserS, row.cpuSystemS, row.memMaxMb], [0.4, 2, 1, 80])
    const only = one(event('progress', at(3), { metrics: { ...wrong, progress: -0.1 } }))
    assert.deepEqual([only.progress, only.cpuUserS, only.memMaxMb], [null, null, null])
  })

  test('gives an end before the start a duration of 0', () => {
    assert.equal(one(event('started', at(9)), event('finished', at(5))).durationS, 0)
  })

  test('keeps the first 64 metric names of a job, whatever came first', () => {
    const names = Array.from({ length: 100 }, (_, i) => `m${String(i).padStart(3, '0')}`)
    const events = names.map((name, i) => event('metric', at(i % 60), { metrics: { [name]: i } }))
    const kept = names.slice(0, 64)
    assert.deepEqual(Object.keys(one(...events).metrics).sort(), kept)
    assert.deepEqual(Object.keys(one(...events.reverse()).metrics).sort(), kept)
  })

  test('cuts an error text to 2,000 characters without cutting a character', () => {
    const error = `${'x'.repeat(1999)}😀`
    const row = one(event('error', at(1), { metadata: { error } }))
    assert.ok(row.lastError!.isWellFormed())
    assert.equal(row.lastError!.length, 2000)
  })

  const ofAttempt = (attempt: number, one: Event): Event => ({
    ...one,
    entity: { ...one.entity, attempt },
  })

  test('of a later attempt takes no start that a hop of an earlier version added', () => {
    const added = event('finished', at(9), { started_at: at(1), started_at_added: true })
    const row = one(event('started', at(1)), ofAttempt(2, added))
    assert.deepEqual([row.attempt, row.startedAt, row.durationS], [2, at(9), 0])
    const told = one(ofAttempt(2, event('started', at(7))), ofAttempt(2, added))
    assert.deepEqual([told.startedAt, told.durationS], [at(7), 120])
  })

  test('takes progress from metadata where no metric says it', () => {
    const progress = (metadata: object, metrics?: Record<string, number>) =>
      one(event('progress', at(1), { metadata: { ...metadata }, ...(metrics && { metrics }) }))
        .progress
    assert.equal(progress({ progress: 0.5 }), 0.5)
    assert.equal(progress({ current: 13, total: 25 }), 0.52)
    assert.equal(progress({ progress: 0.25, current: 1, total: 2 }), 0.25)
    assert.equal(progress({ progress: 0.5 }, { progress: 0.75 }), 0.75)
    assert.equal(progress({ progress: 0.5 }, { cd: 1 }), 0.5)
    for (const wrong of [
      { progress: 50 },
      { progress: '0.5' },
      { current: 3, total: 0 },
      { current: 3 },
    ]) {
      assert.equal(progress(wrong), null, JSON.stringify(wrong))
    }
  })

  test('tells the last error by the first of what says something', () => {
    const said = (metadata: Record<string, unknown>) =>
      one(event('finished', at(1), { status: 'failed', metadata })).lastError
    const all = { error: 'E', message: 'M', reason: 'R', exit_code: 137, signal: 'SIGKILL' }
    const { error, ...noError } = all
    const { message, ...noMessage } = noError
    const { reason, ...codes } = noMessage
    assert.deepEqual(
      [all, noError, noMessage, codes, { ...codes, exit_code: 0 }, { exit_code: 0 }].map(said),
      [error, message, reason, 'exit code 137', 'signal SIGKILL', 'finished'],
    )
  })
})
