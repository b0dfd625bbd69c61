import { ExactNumber } from './exact-number.ts'
import { readFact } from './facts.ts'
import type { Job, Usual } from './job.ts'
import { type Micros, parseTime, secondsBetween } from './time.ts'

/*
 * Late, stuck and lost: the one definition, for the API, the alerts and the screens. Computed when
 * a job is read, never stored, because it changes while nothing happens.
 */

/** How long runs of one kind usually take. */
export type Baseline = Usual & {
  p99S: number
  /** Usual longest silence between two events of one run. */
  gapS: number
}

/** The runs that are compared with each other. Not by the app's id: old programs make one per run. */
export type BaselineKey = Pick<Job, 'entityType' | 'siteId' | 'appName' | 'appVersion'> & {
  /** Empty when the job names no recipe. */
  recipe: string
}

/** The limits, which the store's SQL shares (store/health-sql.ts). */
export const healthLimits = {
  /** A run is not stuck before this, however short its kind usually is. */
  leastStuckS: 600,
  /** A run is not lost before this unless it promised a heartbeat. */
  leastLostS: 60,
  /** Times over the usual. */
  factor: 3,
} as const
const { leastStuckS, leastLostS, factor } = healthLimits

type Judged = Pick<Job, 'status' | 'startedAt' | 'lastEventAt' | 'updatedAt' | 'metadata'>

/**
 * - *lost*: running, and silent for longer than its heartbeat (`metadata.heartbeat_s`, in seconds),
 *   or without one for longer than max(1 min, 3 x the usual gap between events).
 * - *stuck*: running and not lost, for longer than max(10 min, 3 x the p99 of finished runs), or
 *   than its own limit (`metadata.max_duration_s`, in seconds).
 * - *late*: began after `metadata.due_at`, or waits and has not begun by then.
 *
 * Without a baseline only what the job says of itself counts. Silence ends when an event arrives,
 * so neither a slow clock nor a spool that was held up makes a living job lost.
 */
export function judgeHealth(
  job: Judged,
  baseline: Baseline | undefined,
  now: Micros,
): Pick<Job, 'stuck' | 'lost' | 'late'> {
  const late = isLate(job, now)
  if (job.status !== 'running') return { stuck: false, lost: false, late }
  const lost = silenceS(job, now) > longestSilenceS(job, baseline)
  const stuck = !lost && secondsBetween(job.startedAt, now) > longestRunS(job, baseline)
  return { stuck, lost, late }
}

function isLate({ status, metadata, startedAt }: Judged, now: Micros): boolean {
  const dueAt = typeof metadata.due_at === 'string' ? parseTime(metadata.due_at) : undefined
  return dueAt !== undefined && (status === 'queued' ? now : startedAt) > dueAt
}

function silenceS({ lastEventAt, updatedAt }: Judged, now: Micros): number {
  return secondsBetween(lastEventAt > updatedAt ? lastEventAt : updatedAt, now)
}

function longestSilenceS({ metadata }: Judged, baseline: Baseline | undefined): number {
  const heartbeatS = positive(metadata.heartbeat_s)
  if (heartbeatS !== undefined) return heartbeatS
  return baseline ? Math.max(leastLostS, factor * baseline.gapS) : Infinity
}

function longestRunS({ metadata }: Judged, baseline: Baseline | undefined): number {
  const usual = baseline ? Math.max(leastStuckS, factor * baseline.p99S) : Infinity
  return Math.min(usual, positive(metadata.max_duration_s) ?? Infinity)
}

function positive(value: unknown): number | undefined {
  const n = value instanceof ExactNumber ? Number(value.text) : value
  return typeof n === 'number' && n > 0 ? n : undefined
}

/** The recipe of a job as its baseline has it; empty when it has none. */
export const readRecipe = (metadata: Record<string, unknown>): string =>
  readFact(metadata.recipe) ?? ''
