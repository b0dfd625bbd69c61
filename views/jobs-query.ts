import { type Facts, factNames } from '../src/core/facts.ts'
import { type Flag, flags, type JobStatus, statuses, type TimeField } from '../src/core/job.ts'
import { defaultTime } from '../src/core/job-filter.ts'
import type { Micros } from '../src/core/time.ts'
import { type Query, withQuery } from './urls.ts'

/** Windows to choose from, in seconds; null reaches back to the first job. */
export const windows = {
  '1h': 3600,
  '6h': 6 * 3600,
  '24h': 24 * 3600,
  '72h': 72 * 3600,
  '7d': 7 * 86_400,
  all: null,
} as const
export type Window = keyof typeof windows

export const windowNames: Record<Window, string> = {
  '1h': '1\u00a0h',
  '6h': '6\u00a0h',
  '24h': '24\u00a0h',
  '72h': '72\u00a0h',
  '7d': '7\u00a0days',
  all: 'all',
}

/** Orders to choose from: by a time, from one end. */
export const sorts = {
  'started-desc': 'newest first',
  'started-asc': 'oldest first',
  'ended-desc': 'last ended first',
  'seen-desc': 'last event first',
} as const
export type Sort = keyof typeof sorts

const sortTimes: Record<Sort, TimeField> = {
  'started-desc': 'active',
  'started-asc': 'active',
  'ended-desc': 'ended',
  'seen-desc': 'seen',
}
export const toTimeField = (sort: Sort): TimeField => sortTimes[sort]
/** The order of a list that names none: by the time that the API would take. */
export const defaultSort = (status: readonly JobStatus[]): Sort =>
  defaultTime(status) === 'ended' ? 'ended-desc' : 'started-desc'
export const sortOrder = (sort: Sort) => sort.split('-')[1] as 'asc' | 'desc'

export { type Flag, flags }

/** The question of the jobs page: exactly what its address says. */
export type JobsQuery = {
  window: Window
  /** A range instead of a window, from links; the end is open when only `from` is there. */
  from?: Micros | undefined
  to?: Micros | undefined
  /** Empty means every status. */
  status: readonly JobStatus[]
  /** Only jobs that have not ended and are one of these; empty means every job. */
  flags: readonly Flag[]
  q: string
  /** Whole names, case included. */
  app: string
  version: string
  facts: Facts
  /** The least number of attempts, as text; empty for any. */
  minAttempts: string
  /** Seconds, as text so that the form shows what was typed. */
  min: string
  max: string
  sort: Sort
  /** The archive is searched too. */
  archive: boolean
  /** Cursor of the row before this page, or of the row after it. */
  after?: string | undefined
  before?: string | undefined
}

export const defaultQuery: JobsQuery = {
  window: '6h',
  status: [],
  flags: [],
  q: '',
  app: '',
  version: '',
  facts: {},
  minAttempts: '',
  min: '',
  max: '',
  sort: 'started-desc',
  archive: false,
}

/** Every parameter of the address; what else it has is refused. */
export const jobsParams = [
  ...['w', 'from', 'to', 'status', 'flag', 'q', 'app', 'version', ...factNames],
  ...['min_attempts', 'min', 'max', 'sort', 'archive', 'after', 'before'],
]

/** The address of a query. */
export const jobsUrl = (query: JobsQuery, site: string | undefined, path = '/jobs'): string =>
  withQuery(path, { site, ...toParams(query) })

/** A query as parameters of an address; defaults are left out. */
export function toParams(query: JobsQuery): Query {
  const every = query.status.length === 0 || query.status.length === statuses.length
  return {
    w: query.window === defaultQuery.window ? undefined : query.window,
    from: query.from,
    to: query.to,
    status: every ? undefined : query.status,
    flag: query.flags,
    q: query.q,
    app: query.app,
    version: query.version,
    ...query.facts,
    min_attempts: query.minAttempts,
    min: query.min,
    max: query.max,
    sort: query.sort === defaultSort(query.status) ? undefined : query.sort,
    archive: query.archive ? 'true' : undefined,
    after: query.after,
    before: query.before,
  }
}

/** The first page of the same list. */
export const firstPage = (query: JobsQuery): JobsQuery => ({
  ...query,
  after: undefined,
  before: undefined,
})
