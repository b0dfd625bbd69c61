import { AppError } from '../../core/errors.ts'
import { must } from '../../core/must.ts'
import {
  type ArchiveColumn,
  type ArchiveKind,
  archiveColumns,
  timeColumn,
} from '../../store/archive/columns.ts'
import type { ArchivedFile } from '../../store/archive/files.ts'
import { DayFailure } from '../day-failure.ts'
import type { Place } from '../places/place.ts'
import { type ArchivedRow, toArchivedValue } from './archived-rows.ts'
import { type Condition, idColumn } from './conditions.ts'
import { openParquet, type ParquetFile, type ParquetValue, type RowGroup } from './parquet-file.ts'

/* One file of a day, and its rows that match. Columns are found by their names, which stay for as long as files do. */

/** The rows of a page in the files: those of one are decoded together. */
const pageRows = 20_000
/** Rows that are handed over together. */
const batchRows = 2000

const convertersOf = (kind: ArchiveKind) =>
  archiveColumns[kind].map((column) => [column.name, toArchivedValue(column)] as const)
const converters = {
  event: convertersOf('event'),
  job: convertersOf('job'),
  subjob: convertersOf('subjob'),
}

/** A column of the archive, and what the file calls it. */
type Column = ArchiveColumn & { source: string }
/** Rows of a group that match, by their place in the file; undefined: all of them. */
type Selected = readonly number[] | undefined

/** Values of some rows, by column; null where the file lacks the column. */
export type Values = (column: string, row: number) => ParquetValue

/**
 * Opens a file of the archive by its footer.
 *
 * @throws DayFailure when it is missing, or is not the file that its manifest names
 */
export async function openDayFile(place: Place, file: ArchivedFile): Promise<DayFile> {
  const { path, bytes, rows } = file
  const content = await place.read(path)
  if (!content) throw new DayFailure(`${path} is missing, although a manifest names it`)
  if (content.bytes !== bytes) {
    throw new DayFailure(`${path} has ${content.bytes} bytes, not the ${bytes} of its manifest`)
  }
  const parquet = await openParquet(content).catch((error) => {
    throw toFileFailure(path, error)
  })
  if (parquet.rows !== rows) {
    throw new DayFailure(`${path} has ${parquet.rows} rows, not the ${rows} of its manifest`)
  }
  return new DayFile(file, parquet)
}

/** What is wrong with a file, by its name. A place that cannot be reached says nothing about it. */
function toFileFailure(path: string, error: unknown): Error {
  if (error instanceof AppError && error.code === 'unavailable') return error
  const message = error instanceof Error ? error.message : String(error)
  return new DayFailure(`${path} cannot be read: ${message}`, { cause: error })
}

export class DayFile {
  readonly path: string
  readonly rows: number
  readonly file: ArchivedFile
  readonly #kind: ArchiveKind
  readonly #parquet: ParquetFile
  readonly #columns: readonly Column[]

  constructor(file: ArchivedFile, parquet: ParquetFile) {
    this.file = file
    this.path = file.path
    this.rows = file.rows
    this.#kind = file.kind
    this.#parquet = parquet
    this.#columns = columnsIn(file.kind, parquet)
    for (const name of [timeColumn(file.kind), idColumn(file.kind)]) {
      if (this.#sourceOf(name) === undefined)
        throw new DayFailure(`${file.path} has no column ${name}`)
    }
  }

  /**
   * The rows that match, in batches.
   *
   * @param isLive asked of the rows that match
   */
  async *rowsWhere(
    conditions: readonly Condition[],
    isLive: (values: Values, row: number) => boolean | Promise<boolean>,
  ): AsyncGenerator<ArchivedRow[]> {
    const all = this.#columns.map(({ name }) => name)
    for await (const { group, selected } of this.#matching(conditions)) {
      await this.#hold(group, all)
      for (const page of pagesOf(group, selected)) {
        const values = await this.#read(page, all)
        const live: number[] = []
        for (const row of page.rows)
          if (await isLive(values, row - page.from)) live.push(row - page.from)
        for (let i = 0; i < live.length; i += batchRows) {
          yield live.slice(i, i + batchRows).map((row) => this.#toRow(values, row))
        }
      }
    }
  }

  /** Some columns of the rows that match. */
  async *columnsWhere(
    columns: readonly string[],
    conditions: readonly Condition[],
  ): AsyncGenerator<{ values: Values; rows: number[] }> {
    for await (const { group, selected } of this.#matching(conditions)) {
      await this.#hold(group, columns)
      for (const page of pagesOf(group, selected)) {
        const rows = page.rows.map((row) => row - page.from)
        yield { values: await this.#read(page, columns), rows }
      }
    }
  }

  /** Groups that may have rows that match, and those rows. */
  async *#matching(
    conditions: readonly Condition[],
  ): AsyncGenerator<{ group: RowGroup; selected: Selected }> {
    const columns = [...new Set(conditions.flatMap((condition) => condition.columns))]
    for (const group of this.#parquet.groups) {
      const stats = (name: string) => {
        const source = this.#sourceOf(name)
        return source === undefined ? undefined : group.stats(source)
      }
      if (group.from === group.to || !conditions.every(({ mayMatch }) => mayMatch(stats))) continue
      if (conditions.length === 0) {
        yield { group, selected: undefined }
        continue
      }
      await this.#hold(group, columns)
      const values = await this.#read(group, columns)
      const selected: number[] = []
      for (let row = 0; row < group.to - group.from; row++) {
        const isWanted = conditions.every((condition) =>
          condition.matches(condition.columns.map((name) => values(name, row))),
        )
        if (isWanted) selected.push(group.from + row)
      }
      if (selected.length > 0) yield { group, selected }
    }
  }

  async #read(range: { from: number; to: number }, names: readonly string[]): Promise<Values> {
    const present = names.filter((name) => this.#sourceOf(name) !== undefined)
    const sources = this.#sources(present)
    const read = await this.#parquet.read(range, sources).catch((error) => this.#fail(error))
    const byName = new Map(present.map((name, i) => [name, must(read[i], 'each was read')]))
    return (name, row) => byName.get(name)?.[row] ?? null
  }

  async #hold(group: RowGroup, names: readonly string[]): Promise<void> {
    await this.#parquet.hold(group, this.#sources(names)).catch((error) => this.#fail(error))
  }

  #fail(error: unknown): never {
    throw toFileFailure(this.path, error)
  }

  #toRow(values: Values, row: number): ArchivedRow {
    const found: ArchivedRow = {}
    for (const [name, convert] of converters[this.#kind]) found[name] = convert(values(name, row))
    return found
  }

  #sources(names: readonly string[]): string[] {
    return names.flatMap((name) => this.#sourceOf(name) ?? [])
  }

  #sourceOf(name: string): string | undefined {
    return this.#columns.find((column) => column.name === name)?.source
  }
}

/** The columns that a file has. In hours of an earlier version the time of an event is called `at`. */
function columnsIn(kind: ArchiveKind, parquet: ParquetFile): Column[] {
  return archiveColumns[kind].flatMap((column) => {
    const names = column.name === 'event_at' ? ['event_at', 'at'] : [column.name]
    const source = names.find((name) => parquet.has({ name, type: column.type }))
    return source === undefined ? [] : [{ ...column, source }]
  })
}

/** Parts of a group that have rows which are wanted. */
function* pagesOf(group: RowGroup, selected: Selected) {
  let next = 0
  for (let from = group.from; from < group.to; from += pageRows) {
    const to = Math.min(from + pageRows, group.to)
    const rows: number[] = []
    if (!selected) for (let row = from; row < to; row++) rows.push(row)
    else
      while (next < selected.length && (selected[next] as number) < to)
        rows.push(selected[next++] as number)
    if (rows.length > 0) yield { from, to, rows }
  }
}
