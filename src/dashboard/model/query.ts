import {
  defaultQuery,
  flags,
  type JobsQuery,
  sortOrder,
  sorts,
  sortTime,
  type Window,
  windows,
} from '../../../views/jobs-query.ts'
import type { Notice } from '../../../views/page.ts'
import { cursorFromWire } from '../../core/cursor-wire.ts'
import { type Cursor, type JobFilter, statuses } from '../../core/job.ts'
import { fromMs, type Micros, parseTime, toMs } from '../../core/time.ts'

/** Rows on a page. */
export const pageSize = 100

/**
 * Reads the query of the jobs page. An address may be old or typed by hand: parts that cannot be
 * read are ignored with a notice, so the reader still gets a page.
 */
export function readJobsQuery(params: URLSearchParams): { query: JobsQuery; notices: Notice[] } {
  const notices: Notice[] = []
  const ignore = (part: string, why: string) => {
    notices.push({ kind: 'error', title: `${part} was ignored`, detail: why })
    return undefined
  }
  const time = (name: string, label: string) => {
    const given = params.get(name) ?? ''
    if (given === '') return undefined
    return parseTime(given) ?? ignore(label, 'It must be a time such as 2026-03-01T12:00:00Z.')
  }
  const seconds = (name: string, label: string) => {
    const given = (params.get(name) ?? '').trim()
    const n = Number(given)
    if (given === '' || (Number.isFinite(n) && n >= 0)) return given
    return ignore(label, 'It must be a number of seconds.') ?? ''
  }
  const sort = oneOf(params.get('sort'), sorts, defaultQuery.sort)
  const cursor = (name: string, order: JobFilter['order']) => {
    const given = params.get(name) ?? ''
    if (given === '') return undefined
    const read = cursorFromWire(given)
    if (read?.time === sortTime(sort) && read.order === order) return given
    return ignore('The page position', 'The link belongs to another list; this is the first page.')
  }
  const query: JobsQuery = {
    window: oneOf(params.get('w'), windows, defaultQuery.window),
    from: time('from', 'The start of the range'),
    to: time('to', 'The end of the range'),
    status: statuses.filter((status) => params.getAll('status').includes(status)),
    flags: flags.filter((flag) => params.getAll('flag').includes(flag)),
    q: (params.get('q') ?? '').trim().slice(0, 200),
    app: (params.get('app') ?? '').slice(0, 200),
    min: seconds('min', 'The minimum duration'),
    max: seconds('max', 'The maximum duration'),
    sort,
    after: cursor('after', sortOrder(sort)),
    before: cursor('before', flip(sortOrder(sort))),
  }
  if (query.status.length === statuses.length) query.status = []
  return { query, notices }
}

export const readWindow = (params: URLSearchParams): Exclude<Window, 'all'> => {
  const window = oneOf(params.get('w'), windows, defaultQuery.window)
  return window === 'all' ? '7d' : window
}

function oneOf<T extends string>(given: string | null, known: Record<T, unknown>, other: T): T {
  return given !== null && Object.hasOwn(known, given) ? (given as T) : other
}

/** The start of a window; null when it reaches back to the first job. */
export function startWindow(window: Window, now: Micros): Micros | null {
  const seconds = windows[window]
  if (seconds === null) return null
  return fromMs(toMs(now) - seconds * 1000)
}

/** Earlier than every job. */
export const firstTime: Micros = '1970-01-01T00:00:00.000000Z'

/**
 * The question to the API for a page. A page before a cursor is read in reverse (`flipped`): the
 * rows nearest to the cursor come first, and the page reverses them again.
 */
export function toFilter(query: JobsQuery, now: Micros): { filter: JobFilter; flipped: boolean } {
  const flipped = query.before !== undefined
  const order = sortOrder(query.sort)
  return {
    flipped,
    filter: {
      from: query.from ?? startWindow(query.window, now) ?? firstTime,
      to: query.to,
      time: sortTime(query.sort),
      order: flipped ? flip(order) : order,
      status: query.status.length === 0 ? undefined : query.status,
      appName: query.app === '' ? undefined : query.app,
      q: query.q === '' ? undefined : query.q,
      minDurationS: query.min === '' ? undefined : Number(query.min),
      maxDurationS: query.max === '' ? undefined : Number(query.max),
      limit: pageSize,
      cursor: parseCursor(query.before ?? query.after),
    },
  }
}

function parseCursor(text: string | undefined): Cursor | undefined {
  const read = text === undefined ? undefined : cursorFromWire(text)
  if (read === undefined) return undefined
  const { at, id, sites } = read
  return sites ? { at, id, sites } : { at, id }
}

export const flip = (order: JobFilter['order']) => (order === 'desc' ? 'asc' : 'desc')
