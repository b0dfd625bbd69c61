import { csvLine } from '../core/csv.ts'
import { print } from '../platform/stdout.ts'
import { type ArchiveKind, archiveColumns } from '../store/archive/columns.ts'
import type { ArchivedRow, ArchivedValue } from './read/archived-rows.ts'

/* Rows of the archive on standard output, as they come. Each waits for a slower reader. */

export type RowFormat = 'table' | 'csv' | 'ndjson'
export type RowPrinter = { rows(rows: readonly ArchivedRow[]): Promise<void>; end(): Promise<void> }

/** Makes the printer of a format. */
export const openRowPrinter = (format: RowFormat, kind: ArchiveKind): RowPrinter =>
  ({ table: tablePrinter, csv: csvPrinter, ndjson: jsonPrinter })[format](kind)

/** All columns, JSON as the text that is archived. The names come also when there are no rows. */
function csvPrinter(kind: ArchiveKind): RowPrinter {
  const names = archiveColumns[kind].map(({ name }) => name)
  let isBegun = false
  const head = () => {
    const line = isBegun ? '' : csvLine(names)
    isBegun = true
    return line
  }
  return {
    rows: (rows) =>
      print(head() + rows.map((row) => csvLine(names.map((name) => toField(row[name])))).join('')),
    end: () => print(head()),
  }
}

/** A number keeps its digits. */
const toField = (value: ArchivedValue | undefined) =>
  typeof value === 'bigint' ? String(value) : value

/** An object a line, without the values that are absent. JSON goes out as it was archived, so no number loses digits. */
function jsonPrinter(kind: ArchiveKind): RowPrinter {
  const columns = archiveColumns[kind]
  const toLine = (row: ArchivedRow) => {
    const fields = columns.flatMap(({ name, type }) => {
      const value = row[name] ?? null
      if (value === null) return []
      const isText = typeof value === 'string' && type !== 'json'
      return [`${JSON.stringify(name)}:${isText ? JSON.stringify(value) : value}`]
    })
    return `{${fields.join(',')}}\n`
  }
  return { rows: (rows) => print(rows.map(toLine).join('')), end: async () => {} }
}

/** What a table shows. */
const shown: Record<ArchiveKind, readonly string[]> = {
  event: ['event_at', 'entity_type', 'entity_id', 'app_name', 'business_key', 'kind', 'status'],
  job: [
    'ended_at',
    'job_id',
    'site_id',
    'app_name',
    'job_key',
    'status',
    'duration_s',
    'last_error',
  ],
  subjob: ['ended_at', 'subjob_id', 'job_id', 'app_name', 'sub_key', 'status', 'duration_s'],
}

/** A fraction to the millisecond: a table is for people. */
const toCell = (value: NonNullable<ArchivedValue>) =>
  typeof value === 'number' && !Number.isInteger(value) ? value.toFixed(3) : String(value)

/** Columns as wide as what the first rows have in them. Control characters are made visible. */
function tablePrinter(kind: ArchiveKind): RowPrinter {
  const names = shown[kind]
  let widths: number[] | undefined
  let count = 0
  const toLine = (cells: readonly string[]) =>
    cells
      .map((cell, i) => cell.padEnd(widths?.[i] ?? 0))
      .join('  ')
      .trimEnd()
  const cellsOf = (row: ArchivedRow) =>
    names.map((name) => toCell(row[name] ?? '').replaceAll(/\p{Cc}/gu, '\ufffd'))
  return {
    async rows(rows) {
      const cells = rows.map(cellsOf)
      const lines = cells
      if (!widths) {
        widths = names.map((name, i) =>
          Math.max(name.length, ...cells.map((c) => c[i]?.length ?? 0)),
        )
        lines.unshift([...names])
      }
      count += rows.length
      await print(lines.map((line) => `${toLine(line)}\n`).join(''))
    },
    end: () => print(`${count} ${kind === 'event' ? 'events' : `${kind}s`}\n`),
  }
}
