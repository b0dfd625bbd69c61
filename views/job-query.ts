import {
  type Completeness,
  type Job,
  type JobStatus,
  type StoredEvent,
  statuses,
} from '../src/core/job.ts'
import { jobPath, type Query, withQuery } from './urls.ts'

/** The lists of subjobs that a job page can show. */
export type SubjobList = JobStatus | 'all'

export const isSubjobList = (text: string): text is SubjobList =>
  text === 'all' || (statuses as readonly string[]).includes(text)

/** The question of a job page: which of its subjobs and events it shows, and from where on. */
export type JobQuery = {
  /** Undefined shows those in trouble first, and then the newest. */
  subjobs?: SubjobList | undefined
  subjobsAfter?: string | undefined
  /** Only errors and ends. */
  events?: 'errors' | undefined
  eventsAfter?: string | undefined
  /** With what only the archive has. */
  archive?: true | undefined
}

/** The address of a job page, at the place that is named. */
export function jobUrl(
  id: string,
  site: string | undefined,
  query: JobQuery,
  place: 'subjobs' | 'events' | '' = '',
): string {
  const params: Query = {
    site,
    subjobs: query.subjobs,
    subjobs_after: query.subjobsAfter,
    events: query.events,
    events_after: query.eventsAfter,
    archive: query.archive ? 'true' : undefined,
  }
  return withQuery(jobPath(id), params) + (place === '' ? '' : `#${place}`)
}

/** The subjobs of a job page. */
export type Subjobs = {
  /** On the page, in the order of its table. */
  rows: readonly Job[]
  /** The newest that were read, for the map of the wafers. */
  read: readonly Job[]
  /** True when `read` has every subjob. */
  isAll: boolean
  /** Cursor of the next page of the list. */
  older: string | undefined
}

/** The events of a job page. */
export type JobEvents = {
  /** Newest first. */
  items: readonly StoredEvent[]
  /** Cursor of the next page. */
  older: string | undefined
  /** Errors that are older than those. */
  errors: readonly StoredEvent[]
  /** False when there may be others between them, because a question was not answered. */
  errorsWhole: boolean
  /** True when the first of `items` is the newest of all. */
  isFirst: boolean
  completeness: Completeness | undefined
}
