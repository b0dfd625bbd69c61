import type { JobStatus, TimeField } from '../src/core/job.ts'
import { statuses } from '../src/core/job.ts'
import type { Micros } from '../src/core/time.ts'
import { withQuery } from './urls.ts'

/** Windows to choose from, in seconds; null reaches back to the first job there is. */
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

/** Orders to choose from: which time, and which end first. */
export const sorts = {
  'started-desc': 'started, newest',
  'started-asc': 'started, oldest',
  'ended-desc': 'ended, newest',
  'seen-desc': 'heard, newest',
} as const
export type Sort = keyof typeof sorts

export const timeOf = (sort: Sort): TimeField => sort.split('-')[0] as TimeField
export const orderOf = (sort: Sort) => sort.split('-')[1] as 'asc' | 'desc'

/** What is found out about a running job when it is looked at. */
export const flags = ['stuck', 'lost', 'late'] as const
export type Flag = (typeof flags)[number]

/** What the jobs page is asked for: exactly what its address says. */
export type JobsQuery = {
  window: Window
  /** A range instead of a window, from links; the end is open when only `from` is there. */
  from?: Micros | undefined
  to?: Micros | undefined
  /** Empty means every status. */
  status: readonly JobStatus[]
  /** Only running jobs of which one of these is true; empty means whatever they are. */
  flags: readonly Flag[]
  q: string
  app: string
  /** Seconds, as text so that the form shows what was typed. */
  min: string
  max: string
  sort: Sort
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
  min: '',
  max: '',
  sort: 'started-desc',
}

/** The address that asks for this, without what is the default anyway. */
export function jobsUrl(query: JobsQuery, site: string | undefined, path = '/jobs'): string {
  const every = query.status.length === 0 || query.status.length === statuses.length
  return withQuery(path, {
    site,
    w: query.window === defaultQuery.window ? undefined : query.window,
    from: query.from,
    to: query.to,
    status: every ? undefined : query.status,
    flag: query.flags,
    q: query.q,
    app: query.app,
    min: query.min,
    max: query.max,
    sort: query.sort === defaultQuery.sort ? undefined : query.sort,
    after: query.after,
    before: query.before,
  })
}

/** The same question about its first page. */
export const firstPage = (query: JobsQuery): JobsQuery => ({
  ...query,
  after: undefined,
  before: undefined,
})
