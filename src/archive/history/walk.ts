import type { ArchiveGap, JobFilter, Position } from '../../core/job.ts'
import { comparePositions, type Part } from '../../core/merge-parts.ts'
import {
  type ArchivedDay,
  type ArchivedList,
  dateOf,
  type FarJob,
  findDays,
  findFarJobs,
} from '../../store/archive/find-days.ts'
import { Ahead } from './ahead.ts'
import { beforeDay, beforeRow, startOf } from './frontier.ts'
import { type ListedJob, PendingRows, sizeOfListed, toListedJob } from './pending.ts'
import { ofList, type RowContext, toJobs } from './rows.ts'
import type { DaySource } from './source.ts'

/*
 * A page of a list from the archive. Days are read in the order of the list, and before a day that is next in it the days of
 * jobs that are far from theirs; each once, and whole. So it is always known up to which place of the list every row is found,
 * and the page goes no further than that.
 *
 * It ends when it is full, when nothing is left, when the hot store's rows end (`until`: nothing after that is on this page), or
 * at its bounds. Then the next page begins where this one ends; it moves on by at least one row or one day, or it fails.
 */

/** A part of the archive as a part of a list. */
export type WalkedPart = Part<ListedJob> & { missing: ArchiveGap[] }

export class Walk {
  readonly #context: RowContext
  readonly #source: DaySource
  readonly #list: ArchivedList
  readonly #filter: JobFilter
  readonly #compare: (a: Position, b: Position) => number
  readonly #pending: PendingRows<ListedJob>
  readonly #days: Ahead<ArchivedDay>
  readonly #far: Ahead<FarJob>
  readonly #read = new Set<string>()
  readonly #missing: ArchiveGap[] = []
  #startedAt = 0
  #files = 0
  /** Up to where every row is found; undefined before the first look. */
  reached: Position | undefined

  constructor(context: RowContext, source: DaySource, list: ArchivedList) {
    const { store, signal } = context
    this.#context = context
    this.#source = source
    this.#list = list
    this.#filter = list.filter
    this.#compare = comparePositions(list.filter.order)
    const { order, limit } = list.filter
    this.#pending = new PendingRows({ order, limit, sizeOf: sizeOfListed })
    this.#days = new Ahead((after, limit) => findDays(store, list, after, limit, signal))
    this.#far = new Ahead((after, limit) =>
      findFarJobs(store, list, after ?? list.filter.cursor, limit, signal),
    )
  }

  /**
   * @param until the place after which the page has nothing
   * @throws AppError unreachable when the archive cannot be read now; `reached` says how far it was
   */
  async read(until: Position | null): Promise<WalkedPart> {
    await this.#source.open(this.#context.signal)
    this.#startedAt = performance.now()
    const isRead = ({ day, site }: ArchivedDay) => this.#read.has(`${day} ${site}`)
    let begun: Position | undefined = this.#filter.cursor
    for (;;) {
      const [day, far] = [await this.#days.peek(isRead), await this.#far.peek(isRead)]
      const ends = [
        ...(day ? [{ end: beforeDay(day, this.#filter), day }] : []),
        ...(far ? [{ end: beforeRow(far, this.#filter.order), day: far }] : []),
      ].sort((a, b) => this.#compare(a.end, b.end))
      const next = ends[0]
      if (!next) return this.#part(null)
      this.reached = next.end
      begun ??= next.end
      const isMoved = this.#compare(next.end, begun) > 0
      if (this.#isEnough(next.end, until) || (isMoved && this.#isBounded())) {
        return this.#part(next.end)
      }
      await this.#readDay(next.day)
    }
  }

  #part(end: Position | null): WalkedPart {
    return { rows: this.#pending.all(), end, missing: this.#missing }
  }

  #isEnough(end: Position, until: Position | null): boolean {
    return (until !== null && this.#compare(end, until) >= 0) || this.#pending.isFull(end)
  }

  #isBounded(): boolean {
    const { files, ms } = this.#context.bounds
    return this.#files >= files || performance.now() - this.#startedAt >= ms
  }

  async #readDay({ day, site }: ArchivedDay): Promise<void> {
    const { kind, filter } = this.#list
    const { signal } = this.#context
    const question = { kind, day, site, filter }
    let files = 0
    const endsAt = this.#startedAt + this.#context.bounds.lastMs
    for await (const batch of this.#source.readDay(question, endsAt, signal)) {
      const jobs = await toJobs(this.#context, kind, { day, site }, batch.rows)
      this.#pending.add(ofList(jobs, filter).map((job) => toListedJob(job, filter)))
      this.#missing.push(...batch.missing)
      files = batch.files
    }
    // Also a day without files takes its time.
    this.#files += Math.max(1, files)
    this.#read.add(`${day} ${site}`)
  }
}

/** The window of a list that was not searched, once it was reached up to a place. */
export function leftOf({ from, to, order }: JobFilter, reached: Position | undefined, now: string) {
  const [start, end] = [from ?? startOf('1970-01-01'), to ?? now]
  if (reached === undefined) return { from: start, to: end }
  return order === 'desc'
    ? { from: start, to: least(reached.at, end) }
    : { from: greatest(reached.at, start), to: end }
}

const least = (a: string, b: string) => (a < b ? a : b)
const greatest = (a: string, b: string) => (a > b ? a : b)

/** From when on a list is searched that ends at a place; null: that was searched to its end. */
export function searchedFrom({ from, order }: JobFilter, end: Position | null): string {
  const start = from ?? startOf('1970-01-01')
  return end === null || order === 'asc' ? start : greatest(end.at, start)
}

/** The day of a date, as a range. */
export const rangeOf = (date: string) => ({
  from: startOf(date),
  to: startOf(dateOf(startOf(date), 1)),
})
