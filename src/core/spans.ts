import { fromMicros, type Micros, secondsBetween, toMicros } from './time.ts'

/** What events say of the times of a job, or of one of its attempts: slots of the fold. */
type Told = {
  given_started_at?: Micros | undefined
  started_event_at?: Micros | undefined
  first_event_at: Micros
  ended_at?: Micros | undefined
  given_duration_s?: number | undefined
  queued_at?: Micros | undefined
}

/** When a job began, how long it ran, and how long it had waited: wire.md, section 5. */
export type Spans = { startedAt: Micros; durationS: number | null; queueS: number | null }

export function toSpans(told: Told): Spans {
  const { first_event_at, ended_at, given_duration_s, queued_at } = told
  const start = toldStart(told)
  const startedAt = start ?? first_event_at
  // Of a job that waited, and whose start no event tells, it is not known how long it ran.
  const ran = ended_at !== undefined && (start !== undefined || queued_at === undefined)
  const between = (from: Micros, to: Micros) => Math.max(0, secondsBetween(from, to))
  return {
    startedAt,
    durationS: given_duration_s ?? (ran ? between(startedAt, ended_at) : null),
    queueS: queued_at === undefined || start === undefined ? null : between(queued_at, start),
  }
}

/** The start that events tell; undefined when none does. */
function toldStart({
  given_started_at,
  started_event_at,
  ended_at,
  given_duration_s,
}: Told): Micros | undefined {
  const said = given_started_at ?? started_event_at
  if (said !== undefined || ended_at === undefined || given_duration_s === undefined) return said
  return fromMicros(toMicros(ended_at) - BigInt(roundHalfEven(given_duration_s * 1e6)))
}

/** As the C library's rint, which PostgreSQL uses for intervals. */
function roundHalfEven(value: number): number {
  const rounded = Math.round(value)
  return Math.abs(value % 1) === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded
}
