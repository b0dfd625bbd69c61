import type { Facts } from './facts.ts'
import type { Kind } from './kinds.ts'
import type { ListPage, Place } from './list-order.ts'
import type { Question } from './questions/question.ts'
import type { MissingSites } from './sites.ts'
import type { Micros } from './time.ts'

export const statuses = ['queued', 'running', 'succeeded', 'failed', 'canceled', 'unknown'] as const
export type JobStatus = (typeof statuses)[number]

/** Of these a job has not ended. `unknown` has, and how is not known. */
export const openStatuses = ['queued', 'running'] as const
export type OpenStatus = (typeof openStatuses)[number]
export type EndStatus = Exclude<JobStatus, OpenStatus>
export const endStatuses = [
  'succeeded',
  'failed',
  'canceled',
  'unknown',
] as const satisfies readonly EndStatus[]

export const isOpen = (status: JobStatus): status is OpenStatus =>
  status === 'running' || status === 'queued'

/** The state that an event stands for which says none. */
export function impliedStatus(kind: Kind): JobStatus {
  if (kind === 'finished') return 'succeeded'
  return kind === 'canceled' || kind === 'queued' ? kind : 'running'
}

/** A job, or a subjob (a job with a parent): the fold of its events. See `fold.ts`. */
export type Job = {
  id: string
  /** For a subjob, the job or subjob it belongs to. Null on jobs. */
  parentId: string | null
  entityType: 'job' | 'subjob'
  appId: string
  appName: string
  appVersion: string
  siteId: string
  /** The business key, usually the lot. Of a subjob without one: that of the job it belongs to. */
  jobKey: string | null
  /** Usually the wafer or the step; subjobs only. */
  subKey: string | null
  status: JobStatus
  startedAt: Micros
  endedAt: Micros | null
  /** Null while running. */
  durationS: number | null
  cpuUserS: number | null
  cpuSystemS: number | null
  /** MiB. */
  memMaxMb: number | null
  /** 0 to 1. */
  progress: number | null
  metrics: Record<string, number>
  metadata: Record<string, unknown>
  errorCount: number
  lastError: string | null
  lastEventAt: Micros
  eventCount: number
  insertedAt: Micros
  updatedAt: Micros
  /** Alive but running far beyond its usual time; see `job-health.ts`. */
  stuck: boolean
  /** Running, and silent for longer than it should be. */
  lost: boolean
  /** Did not start when it was due. */
  late: boolean
  /** Its events say that it ended before it began: a clock is wrong, and the duration is 0. */
  endBeforeStart: boolean
  /** Which try this is; all that is shown is of it. Also how many tries there were. */
  attempt: number
  /** Tries that failed, this one included; of the newest 16. */
  failedAttempts: number
  /** When it was first queued; null when it never was. */
  queuedAt: Micros | null
  /** Seconds from there to its start; null until it starts. */
  queueS: number | null
  /** When it was last queued: of one that waits again after its start, as a held lot, since when. */
  lastQueuedAt: Micros | null
  /** It sent more metadata than is kept: values were cut. */
  truncated: boolean
  /** How long runs of its kind usually take; undefined where too few are known. */
  usual?: Usual | undefined
}

/** Durations of the recent successful runs of one kind (site, app, version, recipe). */
export type Usual = { runs: number; p05S: number; p50S: number; p95S: number }

/** The number of a job's subjobs in each state. */
export type SubjobCounts = { total: number } & Record<JobStatus, number>

/** A try of a job, as it is shown. */
export type Attempt = {
  attempt: number
  status: JobStatus
  queuedAt: Micros | null
  queueS: number | null
  startedAt: Micros
  endedAt: Micros | null
  durationS: number | null
  exitCode: string | null
  lastError: string | null
}

/** All about one job: the job, the counts of its subjobs, and its attempts, the newest first. */
export type JobDetail = {
  job: Job
  subjobs: SubjobCounts
  attempts: Attempt[]
  /** Of the counts: subjobs may be in the archive. Undefined from an older site. */
  completeness?: Completeness | undefined
}

/** Judgments on a job that has not ended, made when it is read; see `job-health.ts`. */
export const flags = ['stuck', 'lost', 'late'] as const
export type Flag = (typeof flags)[number]

/** The states of jobs that can be any of these: one that waits is only ever late. */
export const flaggedStatuses = (some: readonly Flag[]): readonly OpenStatus[] =>
  some.includes('late') ? openStatuses : ['running']

/**
 * The time by which a list is windowed and ordered: the start, the end or the last event. `active` is
 * ordered by the start, and has every job that started or ended in the window, and those that began
 * before its end and still wait or run.
 */
export const timeFields = ['active', 'started', 'ended', 'seen'] as const
export type TimeField = (typeof timeFields)[number]

/** The filter, order and page of a list of jobs or subjobs. An absent field does not filter. */
export type JobFilter = {
  from?: Micros | undefined
  to?: Micros | undefined
  time: TimeField
  /** Newest first is `desc`. */
  order: 'asc' | 'desc'
  status?: readonly JobStatus[] | undefined
  appName?: string | undefined
  /** The whole name, case included. */
  exactApp?: string | undefined
  appVersion?: string | undefined
  appId?: string | undefined
  site?: string | undefined
  businessKey?: string | undefined
  facts?: Facts | undefined
  /** Only jobs that have not ended and are one of these. */
  flags?: readonly Flag[] | undefined
  /**
   * Case-insensitive substring of a key, the app name, the last error or a searched fact. A job whose business
   * key or id is exactly this is found outside the window too.
   */
  q?: string | undefined
  minDurationS?: number | undefined
  maxDurationS?: number | undefined
  /** Only jobs of which there were at least so many attempts. */
  minAttempts?: number | undefined
  /** Subjobs only: the job they belong to. */
  jobId?: string | undefined
  /** Subjobs only: those whose job (or parent subjob) has not reported. */
  parent?: 'missing' | undefined
  archive?: SearchArchive
  limit: number
  cursor?: Cursor | undefined
}

/**
 * True: the archive is searched as well as the hot store; false: it is not. Undefined: it is searched when the window
 * begins before the hot store.
 */
export type SearchArchive = boolean | undefined

/** A row's place in a list: its time and its id. */
export type Position = { at: Micros; id: string }

/** The last row that was seen: the next page starts after it. */
export type Cursor = Position & {
  /** Over several sites: the last row seen of each. A site that is missing starts at its first row. */
  sites?: ReadonlyMap<string, Position> | undefined
}

export type JobPage = {
  items: Job[]
  /** Null on the last page. A page may have less than it could hold, or nothing, and others follow. */
  nextCursor: Cursor | null
  completeness: Completeness
  /** Of a list with flags: how many rows there are on all its pages together. */
  total?: Total | undefined
  /** In an answer merged from several sites: the sites that are missing from it. */
  sites?: MissingSites | undefined
}

/** A count; there are more when it is not complete. */
export type Total = { count: number; complete: boolean }

/** The data that may be missing from an answer. Every list carries it. */
export type Completeness = {
  asOf: Micros
  /** Sidecars known to the store, without retired ones. */
  sources: number
  /**
   * How many of them report, are silent, and said goodbye (core/source-state.ts); of the rest it is not known
   * what waits in their spools.
   */
  sourcesReporting: number
  sourcesSilent: number
  sourcesGone: number
  /** The silent ones, the newest first; at most 20. */
  silentSources: string[]
  /** Events that wait in the spools of those that report. */
  waiting: number
  /** Events that were numbered and have not arrived; without accepted losses. */
  missing: number
  /** The first 20 gaps. */
  gaps: Gap[]
  /** Seconds since the last word of the most silent source, delivery or heartbeat. */
  oldestSourceAgeS: number | null
  /** Sources whose clock is off by more than the limit. */
  skewedSources: string[]
  /** Start of the hot store: older rows, or of events older events, are in the archive. */
  hotFrom: Micros | null
  archive: ArchiveUse
  /** From when on the archive was searched; null when it was not. What is older follows on the next pages. */
  archiveSearchedFrom: Micros | null
  /** What the answer may lack because the archive was not searched there, or could not be. */
  archiveMissing: ArchiveGap[]
}

/**
 * What the archive is to an answer: it was searched; there is one, which was not asked; there is none; it was asked and
 * could not be read.
 */
export const archiveUses = ['used', 'available', 'off', 'unreachable'] as const
export type ArchiveUse = (typeof archiveUses)[number]

/** A range of time, `to` excluded, and why the archive was not searched there. */
export type ArchiveGap = { from: Micros; to: Micros; why: string }

/** Events that a sidecar numbered and the store has not received: `from` to `to`, both included. */
export type Gap = { source: string; from: number; to: number }

/** An event as it was received, with what the first hop stamped on it: the shape of the wire. */
export type StoredEvent = Record<string, unknown>

/** The place of an event among those of its job: its identity. */
export type EventPosition = { at: Micros; key: string }

/** The filter, order and page of the events of a job. An absent field does not filter. */
export type EventFilter = {
  /** Newest first is `desc`. */
  order: 'asc' | 'desc'
  kinds?: readonly Kind[] | undefined
  /** The states that events report, or imply by their kind. */
  status?: readonly JobStatus[] | undefined
  archive?: SearchArchive
  limit: number
  /** The last event of the page before. */
  after?: EventPosition | undefined
}

/** Some events of a job; `next` is where others follow: the last of them, or as far as the archive was searched. */
export type EventPage = {
  items: StoredEvent[]
  next: EventPosition | null
  /** Undefined from an older site. */
  completeness?: Completeness | undefined
}

/** Maximum ids of one `getJobs`. */
export const maxJobIds = 100

/** The jobs with these ids, in the order of the ids, each once; a job that was not asked for is left out. */
export function sortByIds(jobs: readonly Job[], ids: readonly string[]): Job[] {
  const byId = Map.groupBy(jobs, ({ id }) => id)
  return [...new Set(ids)].flatMap((id) => byId.get(id)?.[0] ?? [])
}

/**
 * Anything that can answer questions about jobs: the store, one remote site, all sites together.
 * The JSON API, the dashboard, alerts and tests ask through it and do not know which they have.
 *
 * Guarantees of every call:
 *
 * - It rejects with the signal's reason once the signal aborts.
 * - It rejects with an AppError `overloaded`, `unavailable` or `unreachable` when the data cannot be
 *   read now; a list that is answered says in `completeness` what it may be missing.
 */
export interface JobReader {
  findJobs(filter: JobFilter, signal: AbortSignal): Promise<JobPage>
  findSubjobs(filter: JobFilter, signal: AbortSignal): Promise<JobPage>
  /**
   * Undefined when there is no such job or subjob. One that the hot store lacks is read from the archive, unless `archive` is
   * false; with true also the subjobs that only the archive has are counted.
   */
  getJob(id: string, signal: AbortSignal, archive?: SearchArchive): Promise<JobDetail | undefined>
  /**
   * The jobs and subjobs with these ids (at most {@link maxJobIds}), in the order of the ids, without
   * those that do not exist.
   */
  getJobs(ids: readonly string[], signal: AbortSignal): Promise<Job[]>
  /** By time, ties by key; at most `limit`, and no more than a page holds. */
  findEvents(id: string, filter: EventFilter, signal: AbortSignal): Promise<EventPage>
  /** The answer to one of `core/questions`; of one that comes in pages, the first page. */
  ask<Params, Item>(
    question: Question<Params, Item>,
    params: Params,
    signal: AbortSignal,
  ): Promise<Item[]>
  /** A page of it: all of an answer that comes whole. @param after where a page before ended */
  askPage<Params, Item>(
    question: Question<Params, Item>,
    params: Params,
    signal: AbortSignal,
    after?: Place,
  ): Promise<ListPage<Item>>
}
