import type { JobEvents, JobQuery, Subjobs } from '../../../views/job-query.ts'
import { isSubjobList } from '../../../views/job-query.ts'
import { shownStatus } from '../../../views/partials/status.tsx'
import { readEvent, toText } from '../../../views/stored-event.ts'
import { cursorFromWire, cursorToWire } from '../../core/cursor-wire.ts'
import { AppError } from '../../core/errors.ts'
import { eventCursorToWire, readEventCursor } from '../../core/event-cursor.ts'
import {
  type Cursor,
  type EventFilter,
  type EventPage,
  type Job,
  type JobFilter,
  type JobPage,
  type StoredEvent,
  statuses,
} from '../../core/job.ts'
import { ask, type Visit } from '../visit.ts'
import { ofAnotherList, type Problem } from './query.ts'

/** Maximum subjobs and events on a page; it counts the others, and leads on to them. */
export const rowsShown = 60
/** Maximum subjobs read for the map of the wafers: the newest. */
const mostRead = 500
/** Maximum errors shown before the newest events. */
const mostErrors = 20

/** Reads the query of a job page, as {@link readJobsQuery} does: what cannot be read is a problem. */
export function readJobQuery(params: URLSearchParams): { query: JobQuery; problems: Problem[] } {
  const problems: Problem[] = []
  const read = <T extends string>(
    name: string,
    is: (text: string) => text is T,
    detail: string,
  ) => {
    const given = params.get(name) ?? ''
    if (given === '' || is(given)) return given === '' ? undefined : given
    problems.push({ name, detail })
    return undefined
  }
  const query: JobQuery = {
    subjobs: read('subjobs', isSubjobList, `must be one of all, ${statuses.join(', ')}`),
    subjobsAfter: read('subjobs_after', isSubjobCursor, ofAnotherList),
    events: read('events', (text) => text === 'errors', 'must be errors'),
    eventsAfter: read('events_after', isEventCursor, ofAnotherList),
    archive: read('archive', (text) => text === 'true', 'must be true') && true,
  }
  return { query, problems }
}

function isSubjobCursor(text: string): text is string {
  const after = cursorFromWire(text)
  return after?.time === 'started' && after.order === 'desc'
}

function isEventCursor(text: string): text is string {
  try {
    readEventCursor(text, 'desc')
    return true
  } catch {
    return false
  }
}

/** The subjobs that a page shows: those in trouble first, or the page of a list that was asked for. */
export async function loadSubjobs(
  visit: Visit,
  id: string,
  query: JobQuery,
): Promise<Subjobs | undefined> {
  const { archive } = query
  const list = { time: 'started', order: 'desc', jobId: id, archive } as const
  const find = (filter: Partial<JobFilter>) =>
    ask<JobPage>(visit, ['subjobs', id, filter], (backend, signal) =>
      backend.findSubjobs({ ...list, limit: rowsShown, ...filter }, signal),
    )
  const { subjobs: wanted, subjobsAfter } = query
  const newest = await find({ limit: mostRead })
  if (newest === undefined) return undefined
  const read = newest.items
  const isAll = newest.nextCursor === null
  if (wanted !== undefined || subjobsAfter !== undefined) {
    const status = wanted === undefined || wanted === 'all' ? undefined : [wanted]
    const page = await find({ status, cursor: readCursor(subjobsAfter) })
    const next = page?.nextCursor
    return {
      rows: page?.items ?? [],
      read,
      isAll,
      older: next ? cursorToWire(next, list) : undefined,
    }
  }
  const others = isAll
    ? []
    : await Promise.all([find({ status: ['failed'] }), find({ status: ['running'] })])
  const rows = chooseSubjobs([...others.flatMap((page) => page?.items ?? []), ...read], rowsShown)
  return { rows, read, isAll, older: undefined }
}

const readCursor = (text: string | undefined): Cursor | undefined => {
  const read = text === undefined ? undefined : cursorFromWire(text)
  return read && { at: read.at, id: read.id, ...(read.sites ? { sites: read.sites } : {}) }
}

/** Each of them once: the failed, then what runs, the lost and stuck before others, then the newest. */
export function chooseSubjobs(found: readonly Job[], most: number): Job[] {
  const once = [...new Map(found.map((job) => [job.id, job])).values()]
  const rank = (job: Job) => ranks.indexOf(shownStatus(job)) + 1 || ranks.length + 1
  return once
    .sort((a, b) => rank(a) - rank(b) || (a.startedAt < b.startedAt ? 1 : -1))
    .slice(0, most)
}

const ranks = ['failed', 'lost', 'stuck', 'late', 'running']

/** The events that a page shows, newest first; of older ones the errors, on the first page. */
export async function loadEvents(
  visit: Visit,
  id: string,
  { events, eventsAfter, archive }: JobQuery,
): Promise<JobEvents | undefined> {
  const find = (filter: Partial<EventFilter>) =>
    ask<EventPage>(visit, ['events', id, filter], (backend, signal) =>
      backend
        .findEvents(id, { order: 'desc', archive, limit: rowsShown, ...filter }, signal)
        .catch(noneWhenUnknown),
    )
  const after = eventsAfter === undefined ? undefined : readEventCursor(eventsAfter, 'desc')
  const kinds = events === 'errors' ? errorKinds : undefined
  const isFirst = after === undefined && kinds === undefined
  const page = await find({ kinds, after })
  if (page === undefined) return undefined
  const { items, next, completeness } = page
  const older = next === null ? undefined : eventCursorToWire(next, 'desc')
  if (!isFirst || next === null) {
    return { items, older, errors: [], errorsWhole: true, isFirst, completeness }
  }
  const [failed, errors] = await Promise.all([
    find({ status: ['failed', 'canceled'], limit: mostErrors }),
    find({ kinds: ['error'], limit: mostErrors }),
  ])
  return {
    ...{ items, older, isFirst, completeness },
    errors: notAmong(items, joinWhole([failed, errors])),
    errorsWhole: failed !== undefined && errors !== undefined,
  }
}

/** The events of several lists, newest first, as far back as each has all of its own. */
export function joinWhole(lists: readonly (EventPage | undefined)[]): StoredEvent[] {
  const timeOf = (event: StoredEvent) => readEvent(event).at ?? ''
  const ends = lists.map((list) => {
    const last = list?.next ? list.items.at(-1) : undefined
    return last ? timeOf(last) : ''
  })
  const from = ends.reduce((a, b) => (a > b ? a : b), '')
  return lists.flatMap((list) => list?.items ?? []).filter((event) => timeOf(event) >= from)
}

/** Kinds of events that say how a job fared. */
const errorKinds = ['error', 'finished', 'canceled'] as const

const noneWhenUnknown = (error: unknown): EventPage => {
  if (error instanceof AppError && error.code === 'not_found') return { items: [], next: null }
  throw error
}

/** Those that the page does not have, each once, newest first. */
export function notAmong(page: readonly StoredEvent[], found: readonly StoredEvent[]) {
  const placeOf = (event: StoredEvent) =>
    `${readEvent(event).at ?? ''} ${toText(event.idempotency_key)}`
  const shown = new Set(page.map(placeOf))
  const others = new Map(found.map((event) => [placeOf(event), event]))
  return [...others]
    .filter(([place]) => !shown.has(place))
    .sort(([a], [b]) => (a < b ? 1 : -1))
    .map(([, event]) => event)
}
