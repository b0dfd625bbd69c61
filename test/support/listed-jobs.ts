import fc from 'fast-check'
import { factNames } from '../../src/core/facts.ts'
import { flags, statuses, timeFields } from '../../src/core/job.ts'
import { fromMs } from '../../src/core/time.ts'
import { anEvent } from './store.ts'

/* Random jobs and subjobs, and random questions to lists of them that some of them belong to. */

/** One in `every` has it. */
export const maybe = <T>(some: fc.Arbitrary<T>, every = 2) =>
  fc.oneof({ weight: every - 1, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: some })

const words = ['A', 'scn-05', 'SCN-05', 'Ä', '50%', '7'] as const
const word = fc.constantFrom(...words)
const fact = fc.tuple(fc.constantFrom(...factNames), word)
const list = <T>(...of: T[]) => maybe(fc.subarray(of, { minLength: 1 }), 6)

export const idOf = (n: number) => `b0000000-0000-4000-8000-${String(n).padStart(12, '0')}`

/**
 * @param endMs the time that all of them are over or under way, in milliseconds since 1970
 * @param factor how many times longer than half a day they are spread
 */
export function listedJobs(endMs: number, factor = 1) {
  const ago = (minutes: number) => fromMs(endMs - minutes * factor * 60_000)
  /** Minutes on a coarse grid, so that times meet the bounds of windows. */
  const minutes = fc.integer({ min: 0, max: 24 }).map((n) => n * 30)

  const aRun = fc.record({
    type: fc.constantFrom('job' as const, 'job' as const, 'subjob' as const),
    began: minutes,
    took: fc.constantFrom(0, 1, 30, 59, 60, 61, 120, 400),
    end: fc.constantFrom('queued', 'running', 'succeeded', 'failed', 'canceled', 'unknown'),
    attempt: fc.constantFrom(1, 1, 1, 2, 5),
    key: maybe(fc.constantFrom('L1', 'L12', 'l1'), 2),
    /** Of a subjob: any job or subjob, itself and one that never reports included. */
    parent: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 50 })),
    app: fc.constantFrom('etch', 'apc'),
    site: fc.constantFrom('fab1', 'fab2'),
    metadata: fc.dictionary(
      fc.constantFrom(...factNames, 'heartbeat_s', 'due_at', 'max_duration_s'),
      fc.oneof(word, fc.integer({ min: 1, max: 9000 }), fc.constantFrom(ago(100), null, true, 1.5)),
      { maxKeys: 4 },
    ),
  })
  type Run = typeof aRun extends fc.Arbitrary<infer R> ? R : never

  const aFilter = fc.record({
    time: fc.constantFrom(...timeFields),
    order: fc.constantFrom('desc' as const, 'asc' as const),
    from: maybe(minutes.map(ago)),
    to: maybe(minutes.map(ago), 3),
    status: list(...statuses),
    flags: list(...flags),
    appName: maybe(fc.constantFrom('e', 'ETCH', 'zzz'), 8),
    exactApp: maybe(fc.constantFrom('etch', 'ETCH', 'etc'), 8),
    appVersion: maybe(fc.constantFrom('1', '2'), 10),
    site: maybe(fc.constantFrom('fab1', 'fab9'), 8),
    businessKey: maybe(fc.constantFrom('L1', 'none'), 5),
    q: maybe(fc.oneof(word, fc.constantFrom('L1', 'l', 'etc', 'zzz', 'timeout', '_', idOf(3))), 3),
    facts: maybe(
      fact.map(([name, value]) => ({ [name]: value })),
      3,
    ),
    minAttempts: maybe(fc.constantFrom(1, 2, 3), 6),
    minDurationS: maybe(fc.constantFrom(60, 3600), 8),
    maxDurationS: maybe(fc.constantFrom(60, 3600), 8),
    limit: fc.constantFrom(1, 3, 7, 50),
  })

  function eventsOf(one: Run, n: number) {
    const { type, began, took, end, attempt, key, parent, app, site, metadata } = one
    const envelope = {
      site_id: site,
      app: { app_id: idOf(900), name: app, version: '1' },
      entity: {
        type,
        id: idOf(n),
        parent_id: type === 'subjob' ? idOf(parent) : null,
        business_key: key ?? null,
        attempt,
      },
    }
    const started = anEvent(ago(began), { kind: 'started', metadata }, envelope)
    if (end === 'queued') return [anEvent(ago(began), { kind: 'queued', metadata }, envelope)]
    if (end === 'running' || took > began) return [started]
    // biome-ignore format: as one table
    const kind = {
      succeeded: 'finished', failed: 'error', canceled: 'canceled', unknown: 'finished',
    } as const
    const error =
      end === 'failed'
        ? { status: 'failed' as const, metadata: { error: 'T3 timeout' } }
        : end === 'unknown'
          ? { status: 'unknown' as const }
          : {}
    return [
      started,
      anEvent(ago(began - took), { kind: kind[end as keyof typeof kind], ...error }, envelope),
    ]
  }

  return { aRun, aFilter, eventsOf }
}
