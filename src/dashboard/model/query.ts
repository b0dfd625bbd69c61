import {
  defaultQuery,
  flags,
  type JobsQuery,
  orderOf,
  sorts,
  timeOf,
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
 * Reads the query of the jobs page. An address may be old or typed by hand: what cannot be read is
 * left out and told, so the reader still gets a page.
 */
export function readJobsQuery(params: URLSearchParams): { query: JobsQuery; notices: Notice[] } {
  const notices: Notice[] = []
  const leftOut = (what: string, why: string) => {
    notices.push({ kind: 'error', title: `${what} was left out`, detail: why })
    return undefined
  }
  const time = (name: string) => {
    const given = params.get(name) ?? ''
    if (given === '') return undefined
    return parseTime(given) ?? leftOut(name, 'It must be a time such as 2026-03-01T12:00:00Z.')
  }
  const seconds = (name: string, label: string) => {
    const given = (params.get(name) ?? '').trim()
    const n = Number(given)
    if (given === '' || (Number.isFinite(n) && n >= 0)) return given
    return leftOut(label, 'It must be a number of seconds.') ?? ''
  }
  const sort = oneOf(params.get('sort'), sorts, defaultQuery.sort)
  const cursor = (name: string, order: JobFilter['order']) => {
    const given = params.get(name) ?? ''
    if (given === '') return undefined
    const read = cursorFromWire(given)
    if (read?.time === timeOf(sort) && read.order === order) return given
    return leftOut('The page', 'Its address belongs to another list; this is the first page.')
  }
  const query: JobsQuery = {
    window: oneOf(params.get('w'), windows, defaultQuery.window),
    from: time('from'),
    to: time('to'),
    status: statuses.filter((status) => params.getAll('status').includes(status)),
    flags: flags.filter((flag) => params.getAll('flag').includes(flag)),
    q: (params.get('q') ?? '').trim().slice(0, 200),
    app: (params.get('app') ?? '').slice(0, 200),
    min: seconds('min', 'The least duration'),
    max: seconds('max', 'The greatest duration'),
    sort,
    after: cursor('after', orderOf(sort)),
    before: cursor('before', flip(orderOf(sort))),
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

/** Where a window begins; null when it reaches back to the first job. */
export function startOf(window: Window, now: Micros): Micros | null {
  const seconds = windows[window]
  if (seconds === null) return null
  return fromMs(toMs(now) - seconds * 1000)
}

const first: Micros = '1970-01-01T00:00:00.000000Z'

/**
 * The question to the API behind a page. A page before a cursor is asked for the other way round
 * (`flipped`): the rows closestSpelling to the cursor come first, and are turned back for the page.
 */
export function filterOf(query: JobsQuery, now: Micros): { filter: JobFilter; flipped: boolean } {
  const flipped = query.before !== undefined
  const order = orderOf(query.sort)
  return {
    flipped,
    filter: {
      from: query.from ?? startOf(query.window, now) ?? first,
      to: query.to,
      time: timeOf(query.sort),
      order: flipped ? flip(order) : order,
      status: query.status.length === 0 ? undefined : query.status,
      appName: query.app === '' ? undefined : query.app,
      q: query.q === '' ? undefined : query.q,
      minDurationS: query.min === '' ? undefined : Number(query.min),
      maxDurationS: query.max === '' ? undefined : Number(query.max),
      limit: pageSize,
      cursor: cursorOf(query.before ?? query.after),
    },
  }
}

function cursorOf(text: string | undefined): Cursor | undefined {
  const read = text === undefined ? undefined : cursorFromWire(text)
  if (read === undefined) return undefined
  const { at, id, sites } = read
  return sites ? { at, id, sites } : { at, id }
}

export const flip = (order: JobFilter['order']) => (order === 'desc' ? 'asc' : 'desc')
