import { measureJson } from '../../core/answer-size.ts'
import type {
  ArchiveGap,
  Completeness,
  EventFilter,
  EventPage,
  Position,
  StoredEvent,
} from '../../core/job.ts'
import { comparePositions, mergeParts, type Part } from '../../core/merge-parts.ts'
import type { Micros } from '../../core/time.ts'
import {
  type EventSpan,
  findEventSpan,
  findLostEvents,
  type LostEvents,
} from '../../store/archive/event-days.ts'
import { eventFromRow } from '../../store/events.ts'
import { toEventRow } from '../read/archived-rows.ts'
import { type History, mayAsk, toUnreachable, toWhyUnreachable } from './context.ts'
import { readHistoricJob, spanOf } from './detail.ts'
import { beforeDay, startOf } from './frontier.ts'
import { matchesEvent, placeOfEvent } from './matches.ts'
import { PendingRows } from './pending.ts'
import type { Bounds } from './rows.ts'
import type { DaySource } from './source.ts'
import { rangeOf } from './walk.ts'

/* The events of a job: those of the hot store, and of the days whose events it does not have any more. */

type Row = Position & { event: StoredEvent }
const toRow = (event: StoredEvent): Row => ({ ...placeOfEvent(event), event })
const sizeOf = ({ event }: Row) => measureJson(event)

/** @throws AppError unavailable when only the archive has the job, and cannot be read */
export async function findHistoricEvents(
  history: History,
  id: string,
  filter: EventFilter,
  signal: AbortSignal,
): Promise<EventPage> {
  const { hot, store, source, bounds } = history
  const page = await hot.findEvents(id, filter, signal)
  const span = await findEventSpan(store, id, signal)
  if (!span) return ofHistoricJob(history, { id, filter, page }, signal)
  const lost = await findLostEvents(store, id, span, signal)
  if (filter.archive !== true || !source) {
    return withUse(page, { archiveMissing: tellLost(history, span, lost) })
  }
  return withArchive({ source, bounds }, { id, filter, page, span, lost }, signal)
}

/** Of a job that only the archive has its row says when there were events. */
async function ofHistoricJob(
  history: History,
  { id, filter, page }: Pick<Asked, 'id' | 'filter' | 'page'>,
  signal: AbortSignal,
): Promise<EventPage> {
  const { store, source, bounds } = history
  if (!source || !mayAsk(history, filter.archive)) return page
  const historic = await readHistoricJob(history, id, signal)
  if (!historic) return page
  const { siteId: site, lastEventAt: last, eventCount: count } = historic.job
  const span = { site, first: historic.firstEventAt, last, count }
  const lost = await findLostEvents(store, id, span, signal)
  return withArchive({ source, bounds }, { id, filter, page, span, lost }, signal)
}

const withUse = (page: EventPage, use: Partial<Completeness>): EventPage => ({
  ...page,
  completeness: page.completeness && { ...page.completeness, ...use },
})

/** What an answer of the hot store alone lacks: the days of the archive, and what was dropped and is not in there. */
function tellLost({ source }: History, span: EventSpan, lost: LostEvents): ArchiveGap[] {
  const gone = tellGone(source, span, lost)
  const { days } = lost
  if (days.length === 0 || !source) return gone
  const which = days.length === 1 ? 'this day' : `${days.length} days`
  const { from, to } = spanOf(days)
  const why = `its events of ${which} are in the archive; add archive=true`
  return [...gone, { from: from < span.first ? span.first : from, to, why }]
}

/** The first events of a job, where they were dropped and the archive does not have them, or not any more. */
function tellGone(
  source: DaySource | undefined,
  { first, last, count }: EventSpan,
  { days, droppedBefore, hot, hotFrom }: LostEvents,
): ArchiveGap[] {
  if (droppedBefore === null || first >= droppedBefore || hot >= count) return []
  const day = source && days[0]
  // On the day of the first event there is an event.
  if (day !== undefined && (startOf(day) <= first || (hotFrom !== null && hotFrom <= first))) {
    return []
  }
  const where = source ? 'are not in the archive' : 'there is no archive'
  const end = droppedBefore < last ? droppedBefore : rangeOf(last.slice(0, 10)).to
  const to = day === undefined ? end : startOf(day)
  return [{ from: first, to, why: `its events of then were deleted, and ${where}` }]
}

type Asked = { id: string; filter: EventFilter; page: EventPage; span: EventSpan; lost: LostEvents }

/** Merged with the events of the days that the hot store lacks, up to the bounds of a page. */
async function withArchive(
  archive: Archive,
  { id, filter, page, span, lost }: Asked,
  signal: AbortSignal,
): Promise<EventPage> {
  const { order, limit } = filter
  const hot = {
    rows: page.items.map(toRow),
    end: page.next && { at: page.next.at, id: page.next.key },
  }
  const known = new Set(hot.rows.map(({ at, id: key }) => `${at} ${key}`))
  const gone = tellGone(archive.source, span, lost)
  const reading = new EventDays(archive, { id, filter, site: span.site, days: lost.days })
  try {
    const { rows, end } = await reading.read(hot.end, signal)
    const others = rows.filter(({ at, id: key }) => !known.has(`${at} ${key}`))
    const merged = mergeParts([hot, { rows: others, end }], { order, limit, sizeOf })
    const [first] = lost.days
    const use: Partial<Completeness> = {
      archive: 'used',
      archiveSearchedFrom: first === undefined ? null : reading.searchedFrom(startOf(first)),
      archiveMissing: [...gone, ...reading.missing],
    }
    const next = merged.end && { at: merged.end.at, key: merged.end.id }
    return withUse({ ...page, items: merged.rows.map(({ event }) => event), next }, use)
  } catch (error) {
    const why = toWhyUnreachable(error, signal)
    return withUse(page, toUnreachable([...gone, { ...spanOf(lost.days), why }]))
  }
}

type Archive = { source: DaySource; bounds: Bounds }
type Days = { id: string; filter: EventFilter; site: string; days: readonly string[] }

/** Reads days in the order of the list, until the page is full, or the hot store's events end, or a bound is reached. */
class EventDays {
  readonly missing: ArchiveGap[] = []
  readonly #archive: Archive
  readonly #asked: Days
  readonly #pending: PendingRows<Row>
  readonly #left: string[]
  #startedAt = 0
  #files = 0

  constructor(archive: Archive, asked: Days) {
    const { order, limit, after } = asked.filter
    this.#archive = archive
    this.#asked = asked
    this.#pending = new PendingRows({ order, limit, sizeOf })
    const isLeft = (day: string) =>
      after === undefined ||
      (order === 'desc' ? startOf(day) <= after.at : rangeOf(day).to > after.at)
    const left = asked.days.filter(isLeft)
    this.#left = order === 'desc' ? left.reverse() : left
  }

  async read(until: Position | null, signal: AbortSignal): Promise<Part<Row>> {
    const { order } = this.#asked.filter
    const compare = comparePositions(order)
    if (this.#left.length > 0) await this.#archive.source.open(signal)
    this.#startedAt = performance.now()
    for (let read = 0; ; read++) {
      const [day] = this.#left
      if (day === undefined) return { rows: this.#pending.all(), end: null }
      const end = beforeDay({ day, site: this.#asked.site }, { time: 'ended', order })
      const isEnough = (until !== null && compare(end, until) >= 0) || this.#pending.isFull(end)
      if (isEnough || (read > 0 && this.#isBounded())) return { rows: this.#pending.all(), end }
      await this.#readDay(day, signal)
      this.#left.shift()
    }
  }

  /** @param first start of the first day that may have any */
  searchedFrom(first: Micros): Micros {
    const next = this.#left[0]
    return next === undefined || this.#asked.filter.order === 'asc' ? first : rangeOf(next).to
  }

  #isBounded(): boolean {
    const { files, ms } = this.#archive.bounds
    return this.#files >= files || performance.now() - this.#startedAt >= ms
  }

  async #readDay(day: string, signal: AbortSignal): Promise<void> {
    const { id, filter, site } = this.#asked
    const question = { kind: 'event', day, site, ids: [id], filter } as const
    let files = 0
    const { source, bounds } = this.#archive
    const endsAt = this.#startedAt + bounds.lastMs
    for await (const batch of source.readDay(question, endsAt, signal)) {
      const rows = batch.rows.map(toEventRow).filter((row) => matchesEvent(row, filter))
      this.#pending.add(rows.map((row) => toRow(eventFromRow(row))))
      this.missing.push(...batch.missing)
      files = batch.files
    }
    this.#files += Math.max(1, files)
  }
}
