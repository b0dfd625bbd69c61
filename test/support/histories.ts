import fc from 'fast-check'
import type { Event } from '../../src/core/event.ts'
import type { Kind } from '../../src/core/kinds.ts'
import { fromMicros, type Micros, toMicros } from '../../src/core/time.ts'

/**
 * Random histories of a few jobs: few distinct times, so that ties are common; several starts and
 * ends; ends before starts; hostile metric names; old programs that never say when they started.
 */

export const noon = '2026-03-01T12:00:00.000000Z'

/** A time near noon on a coarse grid, with a microsecond now and then. */
const time: fc.Arbitrary<Micros> = fc
  .tuple(fc.integer({ min: -4, max: 8 }), fc.constantFrom(0, 0, 1, 999_999))
  .map(([minutes, us]) => fromMicros(toMicros(noon) + BigInt(minutes) * 60_000_000n + BigInt(us)))

const id = (n: number, kind: string) =>
  `${kind}0000000-0000-4000-8000-${String(n).padStart(12, '0')}`

const word = fc.constantFrom('a', 'b', 'lot-1', 'é', '\uffff', '😀', '__proto__', '')
const metadata = fc.option(
  fc.dictionary(
    fc.constantFrom(
      ...['recipe', 'tool', 'error', 'message', 'x', 'reason', 'exit_code', 'signal'],
      ...['progress', 'current', 'total', 'queue'],
    ),
    fc.oneof(word, fc.integer(), fc.constantFrom(0, 0.25, 1, 4), fc.constant(null)),
    { maxKeys: 4 },
  ),
  { nil: undefined },
)
/** Many jobs have only one; some have more than a row keeps. */
const attempt = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(undefined, 1) },
  { weight: 3, arbitrary: fc.constantFrom(2, 3) },
  { weight: 1, arbitrary: fc.integer({ min: 4, max: 24 }) },
)
const finite = fc.oneof(
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer({ min: 0, max: 100 }),
  fc.constantFrom(0.1, 12.345678, 5e-324, 1.7e308, -1, 0.0000005, 0.0000015),
)
const metrics = fc.option(
  fc.dictionary(
    fc.oneof(
      fc.constantFrom('duration_s', 'cpu_user_s', 'cpu_system_s', 'mem_max_mb', 'progress'),
      fc.constantFrom('cd_mean_nm', '😀', '\uffff', '__proto__', 'ä'),
      fc.integer({ min: 0, max: 99 }).map((n) => `m${n}`),
    ),
    finite,
    { maxKeys: 8 },
  ),
  { nil: undefined },
)

const kindAndStatus = fc.constantFrom<[Kind, Event['event']['status']]>(
  ['queued', undefined],
  ['queued', undefined],
  ['queued', 'running'],
  ['started', undefined],
  ['started', 'failed'],
  ['progress', undefined],
  ['progress', 'running'],
  ['metric', undefined],
  ['finished', undefined],
  ['finished', 'failed'],
  ['finished', 'canceled'],
  ['finished', 'unknown'],
  ['canceled', 'queued'],
  ['error', 'unknown'],
  ['error', undefined],
  ['error', 'failed'],
  ['error', 'succeeded'],
  ['canceled', undefined],
  ['canceled', 'running'],
)

/** One event, of one of `jobs` jobs or as many subjobs. */
export function arbitraryEvent(jobs: number): fc.Arbitrary<Event> {
  return fc
    .record({
      key: fc.uuid(),
      job: fc.integer({ min: 1, max: jobs }),
      sub: fc.boolean(),
      attempt,
      kind: kindAndStatus,
      at: time,
      startedAt: fc.option(time, { nil: undefined }),
      added: fc.constantFrom(undefined, undefined, false, true),
      endedAt: fc.option(time, { nil: undefined }),
      metadata,
      metrics,
      app: fc.constantFrom('etch', 'litho'),
      businessKey: fc.option(word, { nil: undefined }),
      parent: fc.integer({ min: 1, max: 3 }),
      historical: fc.boolean(),
    })
    .map((r) => ({
      idempotency_key: r.key,
      site_id: 'fab1',
      app: { app_id: id(r.app.length, 'a'), name: r.app, version: '' },
      entity: {
        type: r.sub ? 'subjob' : 'job',
        id: id(r.job, r.sub ? 'c' : 'b'),
        ...(r.sub ? { parent_id: id(r.parent, 'b') } : {}),
        ...(r.attempt === undefined ? {} : { attempt: r.attempt }),
        ...(r.businessKey === undefined
          ? {}
          : { business_key: r.businessKey, sub_key: r.businessKey }),
      },
      event: {
        kind: r.kind[0],
        at: r.at,
        ...(r.kind[1] ? { status: r.kind[1] } : {}),
        ...(r.startedAt ? { started_at: r.startedAt } : {}),
        ...(r.added === undefined ? {} : { started_at_added: r.added }),
        ...(r.endedAt ? { ended_at: r.endedAt } : {}),
        ...(r.metadata ? { metadata: r.metadata } : {}),
        ...(r.metrics ? { metrics: r.metrics } : {}),
      },
      received_at: r.at,
      ...(r.historical ? { historical: true } : {}),
    }))
}

/** A history, and the order and the batches in which it arrives, repeats included. */
export type Arrival = { events: Event[]; batches: Event[][] }

export function arbitraryArrival(jobs = 3, maxEvents = 24): fc.Arbitrary<Arrival> {
  const events = fc.uniqueArray(arbitraryEvent(jobs), {
    minLength: 1,
    maxLength: maxEvents,
    selector: (event) => event.idempotency_key,
  })
  return events.chain((list) =>
    fc
      .record({
        order: fc.shuffledSubarray([...list.keys()], { minLength: list.length }),
        repeats: fc.array(fc.nat({ max: list.length - 1 }), { maxLength: list.length }),
        cuts: fc.array(fc.nat({ max: list.length }), { maxLength: 5 }),
      })
      .map(({ order, repeats, cuts }) => ({
        events: list,
        batches: cut(
          [...order, ...repeats].map((i) => list[i]!),
          cuts,
        ),
      })),
  )
}

/** All orders of a few things. */
export function permutations<T>(items: readonly T[]): T[][] {
  if (items.length === 0) return [[]]
  return items.flatMap((item, i) =>
    permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]),
  )
}

/** All ways to cut a list into batches, none of them empty. */
export function splits<T>(items: readonly T[]): T[][][] {
  if (items.length === 0) return [[]]
  return items.flatMap((_, i) =>
    splits(items.slice(i + 1)).map((rest) => [items.slice(0, i + 1), ...rest]),
  )
}

function cut(events: Event[], cuts: number[]): Event[][] {
  const places = [0, ...cuts.sort((a, b) => a - b), events.length]
  return places
    .slice(1)
    .map((to, i) => events.slice(places[i], to))
    .filter((b) => b.length > 0)
}
