import {
  defaultQuery,
  defaultSort,
  type JobsQuery,
  sortOrder,
  sorts,
  toTimeField,
  type Window,
  windows,
} from '../../../views/jobs-query.ts'
import { cursorFromWire } from '../../core/cursor-wire.ts'
import { AppError } from '../../core/errors.ts'
import { maxAttempt } from '../../core/event.ts'
import { type Facts, factNames, maxFact } from '../../core/facts.ts'
import { type Cursor, flags, type JobFilter, statuses } from '../../core/job.ts'
import { toStatuses } from '../../core/job-filter.ts'
import { fromMs, type Micros, parseTime, toMs } from '../../core/time.ts'

/** Rows on a page. */
export const pageSize = 100

/** What is wrong with a place in a list where the list is another. */
export const ofAnotherList = 'belongs to another list; it is omitted on the first page'

/** A part of an address that was not understood. */
export type Problem = { name: string; detail: string }

/**
 * Reads the query of the jobs page. What cannot be read is a problem, and the page then shows no rows:
 * a misspelled filter must not look like a list of everything. The query has the rest.
 *
 * An `after` or `before` of another list is dropped: what is left of it is the first page.
 */
export function readJobsQuery(params: URLSearchParams): { query: JobsQuery; problems: Problem[] } {
  const problems: Problem[] = []
  const read = new Reader(params, problems)
  const status = read.words('status', statuses)
  const sort = read.word('sort', sorts) ?? defaultSort(status)
  const query: JobsQuery = {
    window: read.word('w', windows) ?? defaultQuery.window,
    from: read.time('from'),
    to: read.time('to'),
    status: status.length === statuses.length ? [] : status,
    flags: read.words('flag', flags),
    q: read.text('q', 200),
    app: read.text('app', 200),
    version: read.text('version', 64),
    facts: readFacts(read),
    minAttempts: read.attempts('min_attempts'),
    min: read.seconds('min'),
    max: read.seconds('max'),
    sort,
    archive: read.word('archive', { true: true, false: true }) === 'true',
    after: read.cursor('after', { time: toTimeField(sort), order: sortOrder(sort) }),
    before: read.cursor('before', { time: toTimeField(sort), order: flip(sortOrder(sort)) }),
  }
  checkTogether(query, problems)
  return { query, problems }
}

function readFacts(read: Reader): Facts {
  const given = factNames.map((name) => [name, read.text(name, maxFact)] as const)
  return Object.fromEntries(given.filter(([, value]) => value !== ''))
}

/** The same that the API refuses. */
function checkTogether(
  { from, to, min, max, flags: some, status, sort, archive }: JobsQuery,
  problems: Problem[],
) {
  if (from !== undefined && to !== undefined && from >= to) {
    problems.push({ name: 'from', detail: 'must be before to' })
  }
  if (to !== undefined && to <= firstTime) {
    problems.push({ name: 'to', detail: 'must be after the start of 1970' })
  }
  if (min !== '' && max !== '' && Number(min) > Number(max)) {
    problems.push({ name: 'min', detail: 'must not be greater than max' })
  }
  if (some.length === 0) return
  if (archive) {
    problems.push({
      name: 'archive',
      detail: 'must not be true: what is stuck, lost or late is in the hot store alone',
    })
  }
  if (status.length > 0 && toStatuses({ status, flags: some })?.length === 0) {
    problems.push({
      name: 'status',
      detail: 'must include running, or for late queued: only such jobs are stuck, lost or late',
    })
  }
  // Without words for an order it follows from the states, which are told above.
  if (sort === 'ended-desc' && defaultSort(status) !== sort) {
    problems.push({
      name: 'sort',
      detail:
        'must not be by the end: only jobs that have not ended are listed as stuck, lost or late',
    })
  }
}

/** Reads parameters by kind. Empty ones are absent: a form sends all its fields. */
class Reader {
  readonly #params: URLSearchParams
  readonly #problems: Problem[]

  constructor(params: URLSearchParams, problems: Problem[]) {
    this.#params = params
    this.#problems = problems
  }

  text(name: string, max: number): string {
    const given = (this.#params.get(name) ?? '').trim()
    if (given.length > max) this.#refuse(name, `must have at most ${max} characters`)
    return given.slice(0, max)
  }

  time(name: string): Micros | undefined {
    const given = this.text(name, 100)
    if (given === '') return undefined
    // What a field for times of a browser sends has no offset: it means the zone of the page.
    const isLocal = /^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?$/.test(given)
    const ms = isLocal ? new Date(given).getTime() : Number.NaN
    const time = Number.isNaN(ms) ? parseTime(given.replace(/ (\d\d:\d\d)$/, '+$1')) : fromMs(ms)
    return time ?? this.#refuse(name, 'must be a time such as 2026-03-01T12:00:00Z')
  }

  seconds(name: string): string {
    const given = this.text(name, 40)
    const n = Number(given)
    if (given === '' || (Number.isFinite(n) && n >= 0)) return given
    this.#refuse(name, 'must be a number of seconds')
    return ''
  }

  attempts(name: string): string {
    const given = this.text(name, 40)
    if (given === '') return ''
    if (/^\d+$/.test(given) && Number(given) >= 1 && Number(given) <= maxAttempt) return given
    this.#refuse(name, `must be a whole number from 1 to ${maxAttempt}`)
    return ''
  }

  word<T extends string>(name: string, known: Record<T, unknown>): T | undefined {
    const given = this.text(name, 100)
    if (given === '' || Object.hasOwn(known, given)) return given === '' ? undefined : (given as T)
    return this.#refuse(name, `must be one of ${Object.keys(known).join(', ')}`)
  }

  words<T extends string>(name: string, known: readonly T[]): T[] {
    const given = this.#params.getAll(name).flatMap((part) => part.split(','))
    const wrong = given.some((one) => one !== '' && !(known as readonly string[]).includes(one))
    if (wrong) this.#refuse(name, `must be any of ${known.join(', ')}`)
    return known.filter((one) => given.includes(one))
  }

  cursor(name: string, list: Pick<JobFilter, 'time' | 'order'>): string | undefined {
    const given = this.#params.get(name) ?? ''
    if (given === '') return undefined
    const read = cursorFromWire(given)
    if (read?.time === list.time && read.order === list.order) return given
    return this.#refuse(name, ofAnotherList)
  }

  #refuse(name: string, detail: string): undefined {
    this.#problems.push({ name, detail })
  }
}

/** The windows of the overview. */
const shortWindows = Object.keys(windows).filter((name) => name !== 'all')

/** @throws AppError invalid when it is none of them */
export function readWindow(params: URLSearchParams): Exclude<Window, 'all'> {
  const given = params.get('w') || defaultQuery.window
  if (shortWindows.includes(given)) return given as Exclude<Window, 'all'>
  throw new AppError('invalid', `w: must be one of ${shortWindows.join(', ')}`, { field: 'w' })
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
 * What a jobs page is about: its list, its cards and its heading alike. `from` is null when it reaches
 * back to the first job, and `to` undefined when it begins later than now. Without `from` it is the window
 * that ends at `to`.
 */
export type JobsSpan = { from: Micros | null; to: Micros | undefined }

export function readSpan(
  { from, to, window }: Pick<JobsQuery, 'from' | 'to' | 'window'>,
  now: Micros,
): JobsSpan {
  const end = to ?? now
  if (from !== undefined) return { from, to: from < end ? end : undefined }
  const start = startWindow(window, end)
  return { from: start !== null && start < firstTime ? firstTime : start, to: end }
}

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
      from: listFrom(query, now),
      to: query.to,
      time: toTimeField(query.sort),
      order: flipped ? flip(order) : order,
      status: query.status.length === 0 ? undefined : query.status,
      exactApp: query.app === '' ? undefined : query.app,
      appVersion: query.version === '' ? undefined : query.version,
      facts: Object.keys(query.facts).length === 0 ? undefined : query.facts,
      flags: query.flags.length === 0 ? undefined : query.flags,
      q: query.q === '' ? undefined : query.q,
      minAttempts: query.minAttempts === '' ? undefined : Number(query.minAttempts),
      minDurationS: query.min === '' ? undefined : Number(query.min),
      maxDurationS: query.max === '' ? undefined : Number(query.max),
      // Said either way: the window of all jobs begins before every hot store.
      archive: query.archive,
      limit: pageSize,
      cursor: parseCursor(query.before ?? query.after),
    },
  }
}

/** Every running job is judged, whenever it began and was last heard of. */
function listFrom(query: JobsQuery, now: Micros): Micros | undefined {
  if (query.flags.length > 0) return query.from
  return readSpan(query, now).from ?? firstTime
}

function parseCursor(text: string | undefined): Cursor | undefined {
  const read = text === undefined ? undefined : cursorFromWire(text)
  if (read === undefined) return undefined
  const { at, id, sites } = read
  return sites ? { at, id, sites } : { at, id }
}

export const flip = (order: JobFilter['order']) => (order === 'desc' ? 'asc' : 'desc')
