import type { AttemptEntries, AttemptEntry } from './attempt-entry.ts'
import { readFact } from './facts.ts'
import type { Attempt, EndStatus, Job, JobStatus } from './job.ts'
import type { Slots } from './slots.ts'
import { toSpans } from './spans.ts'
import type { Micros } from './time.ts'

/*
 * The tries of a job. Its slots are those of its highest attempt; each earlier one leaves an entry, in the
 * slot `attempts`, which takes what arrives late of it. An entry is a fold like the row itself: it takes
 * events in any order, and which entries stay follows from the numbers alone.
 *
 * The SQL of the same is in the migrations 0010 and 0011: attempt_entry, attempt_merge and attempts_union.
 */

/** Attempts that a job shows, the newest: all but one of them have an entry. */
export const maxAttempts = 16
/** Code points that are kept of an error of an attempt. */
const maxErrorLength = 200

/** The entry of the attempt that a row of slots is of. What is absent is left out. */
export function entryFromSlots(slots: Slots): AttemptEntry {
  const { given_started_at, started_event_at, first_event_at, queued_at } = slots
  return present({
    ...{ given_started_at, started_event_at, first_event_at, queued_at },
    end: slots.end_event_at && endOf(slots),
    error: slots.error_at && errorOf(slots),
  })
}

const endOf = (slots: Slots) =>
  present({
    at: slots.end_event_at,
    key: slots.end_event_key,
    status: slots.end_status,
    ended_at: slots.ended_at,
    duration_s: slots.given_duration_s,
    exit_code: readFact(slots.end_metadata?.exit_code),
  })

const errorOf = ({ error_at, error_key, last_error }: Slots) =>
  present({
    at: error_at,
    key: error_key,
    text: last_error && cutError(last_error),
  })

const cutError = (text: string) => [...text].slice(0, maxErrorLength).join('')

function present<T>(fields: object): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
}

/** Entries of both; of one attempt the two are merged. Of too many the newest stay. */
export function uniteEntries(
  a: AttemptEntries | undefined,
  b: AttemptEntries | undefined,
): AttemptEntries | undefined {
  if (a === undefined || b === undefined) return a ?? b
  const numbers = [...new Set([...Object.keys(a), ...Object.keys(b)])]
    .sort((x, y) => Number(y) - Number(x))
    .slice(0, maxAttempts - 1)
  return Object.fromEntries(numbers.map((number) => [number, mergeEntries(a[number], b[number])]))
}

function mergeEntries(a: AttemptEntry | undefined, b: AttemptEntry | undefined): AttemptEntry {
  if (a === undefined || b === undefined) return (a ?? b) as AttemptEntry
  const earliest = (
    name: 'given_started_at' | 'started_event_at' | 'first_event_at' | 'queued_at',
  ) => least(a[name], b[name])
  return present({
    given_started_at: earliest('given_started_at'),
    started_event_at: earliest('started_event_at'),
    first_event_at: earliest('first_event_at'),
    queued_at: earliest('queued_at'),
    end: latest(a.end, b.end),
    error: latest(a.error, b.error),
  })
}

const least = (a: Micros | undefined, b: Micros | undefined): Micros | undefined =>
  a === undefined || (b !== undefined && b < a) ? b : a

type Part = { at: Micros; key: string; status?: EndStatus }

function latest<T extends Part>(a: T | undefined, b: T | undefined): T | undefined {
  if (a === undefined || b === undefined) return a ?? b
  return toOrder(b) > toOrder(a) ? b : a
}

/** An end of unknown outcome yields to every other. */
const toOrder = ({ status, at, key }: Part) => (status === 'unknown' ? '0' : '1') + at + key

/**
 * The attempts of a job, the newest first.
 *
 * @param current the entry of the attempt that the job shows
 */
export function listAttempts(
  { attempt, status }: { attempt: number; status: JobStatus },
  current: AttemptEntry,
  earlier: AttemptEntries | null,
): Attempt[] {
  return [toAttempt(attempt, current, status), ...listEarlier(earlier)]
}

/** The same of a job of which only what it shows is known, as of the archive. */
export function listAttemptsShown(job: Job, earlier: AttemptEntries | null): Attempt[] {
  const { attempt, status, queuedAt, queueS, startedAt, endedAt, durationS } = job
  const shown: Attempt = {
    ...{ attempt, status, queuedAt, queueS, startedAt, endedAt, durationS },
    exitCode: (endedAt === null ? undefined : readFact(job.metadata.exit_code)) ?? null,
    lastError: job.lastError === null ? null : cutError(job.lastError),
  }
  return [shown, ...listEarlier(earlier)]
}

function listEarlier(earlier: AttemptEntries | null): Attempt[] {
  const entries = Object.entries(earlier ?? {}).sort(([a], [b]) => Number(b) - Number(a))
  // It did not say how it ended, and a later one runs.
  return entries.map(([number, entry]) => toAttempt(Number(number), entry, 'unknown'))
}

function toAttempt(attempt: number, entry: AttemptEntry, open: JobStatus): Attempt {
  const { end, error } = entry
  const { ended_at, duration_s: given_duration_s } = end ?? {}
  return {
    attempt,
    status: end?.status ?? open,
    queuedAt: entry.queued_at ?? null,
    endedAt: ended_at ?? null,
    ...toSpans({ ...entry, ended_at, given_duration_s }),
    exitCode: end?.exit_code ?? null,
    lastError: error?.text ?? null,
  }
}
