import { fromMicros, fromMs, type Micros, toMicros, toMs } from '../../core/time.ts'
import type { ArchiveKind } from '../../store/archive/columns.ts'
import type { ArchivedFile } from '../../store/archive/files.ts'
import { DayFailure } from '../day-failure.ts'
import type { DayKey } from '../layout.ts'
import type { Place } from '../places/place.ts'
import type { ArchivedRow } from './archived-rows.ts'
import { type Condition, toConditions, type Where } from './conditions.ts'
import { type DayFile, openDayFile } from './day-file.ts'
import {
  type DaysWanted,
  type FoundDay,
  findDay,
  findDays,
  type ReadPosition,
  toPosition,
} from './find-days.ts'
import { LastVersions } from './last-versions.ts'
import { readDayFiles } from './read-manifests.ts'

/*
 * Reads rows of the archive, from any place and without a database. What always holds:
 *
 * - It opens only days, of these only files (by their manifest), and of these only row groups (by their statistics) that
 *   can match. Columns other than those of the conditions are read where a row matches.
 * - Every event once, and of a job the last version, in the day where it lies now.
 * - A day is read whole or not at all before a bound (`maxFiles`, `maxMs`) ends the reading; at least one day is read. So
 *   what `stoppedAt` names, and all after it, is left: `resume` goes on there, and nothing comes twice.
 * - What cannot be read is named in `missing`, and other days go on. A day of jobs of which one file cannot be read is
 *   left out as a whole: the last version of any of its jobs may be in there. Only a place that cannot be reached ends it.
 * - Memory: the footers of the files of one day, one row group as it is in the file, a page of it decoded; and the ids of
 *   the day's jobs but for those of its largest file. It keeps nothing outside of the object, so a worker can run it.
 */

export type ArchiveQuery = DaysWanted & Omit<Where, 'from' | 'to'> & { kind: ArchiveKind }

export type ReadBounds = {
  /** After how many files no further day is begun. */
  maxFiles?: number | undefined
  /** After how long no further day is begun. */
  maxMs?: number | undefined
  signal?: AbortSignal | undefined
  /** Is told what cannot be read, as it is found. */
  onMissing?: ((missing: Missing) => void) | undefined
  /** Is told of each day when it was read, and how many there are. */
  onDay?: ((done: number, days: number) => void) | undefined
}

/** Rows that should be there and cannot be read: of a site, `from` included, `to` not. */
export type Missing = { site: string; from: Micros; to: Micros; why: string }

/**
 * A reading of one kind of rows. Days come in the order that was asked for, sites by name within a day; the rows of a day
 * as its files have them, each file by time.
 */
export class ArchiveReading {
  readonly missing: Missing[] = []
  /** The first day that was not read any more; undefined when all were. */
  stoppedAt: ReadPosition | undefined
  /** How many days the archive has of what was asked for. */
  days = 0
  /** How many files were opened. */
  files = 0
  readonly #place: Place
  readonly #query: ArchiveQuery
  readonly #bounds: ReadBounds
  readonly #conditions: readonly Condition[]

  constructor(place: Place, query: ArchiveQuery, bounds: ReadBounds = {}) {
    this.#place = place
    this.#query = query
    this.#bounds = bounds
    this.#conditions = toConditions(query.kind, query)
  }

  /**
   * The rows, in batches; none is empty.
   *
   * @throws AppError unavailable when the place cannot be reached; invalid for a name that is not a site's; the signal's
   * reason
   */
  async *batches(): AsyncGenerator<ArchivedRow[]> {
    const { signal, onDay } = this.#bounds
    const startedMs = performance.now()
    await this.#place.check('read')
    const days = await findDays(this.#place, this.#query)
    this.days = days.length
    for (const [i, day] of days.entries()) {
      signal?.throwIfAborted()
      if (i > 0 && this.#isBounded(startedMs)) {
        this.stoppedAt = toPosition(day)
        return
      }
      yield* this.#readDay(day)
      onDay?.(i + 1, days.length)
    }
  }

  #isBounded(startedMs: number): boolean {
    const { maxFiles = Number.POSITIVE_INFINITY, maxMs = Number.POSITIVE_INFINITY } = this.#bounds
    return this.files >= maxFiles || performance.now() - startedMs >= maxMs
  }

  async *#readDay(day: FoundDay): AsyncGenerator<ArchivedRow[]> {
    const { kind } = this.#query
    const opened = await this.#openDay(day)
    if (!opened || opened.length === 0) return
    const versions = kind === 'event' ? undefined : this.#versionsOf(kind, opened)
    for (const file of opened) {
      try {
        yield* file.rowsWhere(this.#conditions, async (values, row) => {
          if (!versions) return true
          if (values('moved_to', row) !== null) return false
          return (await versions()).has(file, values, row)
        })
      } catch (error) {
        if (!(error instanceof DayFailure)) throw error
        this.#tellFile(day, file.file, error)
        if (versions) return
      }
    }
  }

  /** The last versions, looked for when the first row matches. */
  #versionsOf(kind: 'job' | 'subjob', files: readonly DayFile[]): () => Promise<LastVersions> {
    const ofIds = toConditions(kind, { ids: this.#query.ids })
    let found: Promise<LastVersions> | undefined
    return () => {
      found ??= LastVersions.find(kind, files.length > 1 ? files : [], ofIds)
      return found
    }
  }

  /** The files of the day that can match; undefined when what it has cannot be told. */
  async #openDay(day: FoundDay, isAgain = false): Promise<DayFile[] | undefined> {
    const { kind } = this.#query
    const found = await readDayFiles(this.#place, day, kind)
    const wanted = found.files.filter((file) => this.#mayMatch(file))
    const opened: DayFile[] = []
    const failed: [ArchivedFile, DayFailure][] = []
    for (const file of wanted) {
      this.#bounds.signal?.throwIfAborted()
      this.files++
      await openDayFile(this.#place, file).then(
        (one) => opened.push(one),
        (error: unknown) => {
          if (!(error instanceof DayFailure)) throw error
          failed.push([file, error])
        },
      )
    }
    if (failed.length > 0 && !isAgain) {
      // Files may have been replaced since the day was listed.
      const now = await findDay(this.#place, day)
      if (now && now.number !== day.number) return this.#openDay(now, true)
    }
    for (const { from, to, why } of found.missing) this.#tell({ site: day.site, from, to, why })
    for (const [file, error] of failed) this.#tellFile(day, file, error)
    return kind !== 'event' && failed.length + found.unreadable > 0 ? undefined : opened
  }

  /** By the times in the manifest. Jobs that never ended are in any of their day's files. */
  #mayMatch({ kind, atMin, atMax }: ArchivedFile): boolean {
    const { from, to } = this.#query
    if (kind !== 'event') return true
    return (from === undefined || atMax >= from) && (to === undefined || atMin < to)
  }

  /** Of events the span of the file; of jobs the whole day, since it is left out. */
  #tellFile(day: DayKey, { kind, atMin, atMax }: ArchivedFile, { message }: DayFailure): void {
    const span = { from: atMin, to: fromMicros(toMicros(atMax) + 1n) }
    this.#tell({ site: day.site, ...(kind === 'event' ? span : wholeDay(day)), why: message })
  }

  #tell(missing: Missing): void {
    this.missing.push(missing)
    this.#bounds.onMissing?.(missing)
  }
}

const wholeDay = ({ from }: DayKey) => ({ from, to: fromMs(toMs(from) + 86_400_000) })
