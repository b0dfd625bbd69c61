import { ConfigError } from '../../core/errors.ts'
import type { Cut } from './format.ts'
import type { Source } from './source.ts'

/* Tables: a row of names first, then a row per line. */

/** The fields of a row by the names of their columns. */
export type Row = { readonly [column: string]: string | undefined }

/** Maximum lines of one row whose quoted fields have line breaks: an open quotation mark costs a line, not the file. */
const maxRowLines = 200

type Shape = {
  delimiter: string
  /** Fields may stand in quotation marks (RFC 4180). */
  quoted?: boolean
  /** The columns that it cannot be read without. */
  needed: readonly string[]
  /** How the names of columns are compared. */
  toName?: (text: string) => string
}

/** The rows of a table. @throws ConfigError when a column is missing or there are two of a name */
export async function* cutTable(
  source: Source,
  { delimiter, quoted = false, needed, toName = (text) => text }: Shape,
): AsyncGenerator<Cut<Row>> {
  const rows = quoted ? quotedRows(source, delimiter) : plainRows(source, delimiter)
  let columns: string[] | undefined
  let spare = quoted ? Infinity : 0
  for await (const cut of rows) {
    if ('why' in cut) yield cut
    else if (columns === undefined) {
      columns = readHead(cut.value, source.file, { needed, toName })
      spare ||= cut.value.length - columns.length
    } else yield toRow(cut.line, cut.value, { columns, spare })
  }
  if (columns === undefined) throw new ConfigError(`${source.file} is empty: it has no head row`)
}

type Head = { needed: readonly string[]; toName: (text: string) => string }

function readHead(fields: readonly string[], file: string, { needed, toName }: Head): string[] {
  const columns = fields.map((name) => toName(name.trim()))
  if (columns.at(-1) === '') columns.pop()
  const twice = columns.find((name, i) => columns.indexOf(name) !== i)
  if (twice !== undefined) throw new ConfigError(`${file} has two columns named ${twice}`)
  const missing = needed.find((name) => !columns.includes(toName(name)))
  if (missing === undefined) return columns
  const shown = fields.slice(0, 20).join(', ').slice(0, 200)
  throw new ConfigError(`${file} has no column ${missing}; its first line names: ${shown}`)
}

/**
 * Further fields that are empty are the end of a line that closes with its delimiter. Where quotation marks cannot keep
 * a delimiter within a field, only as many as the first line has: else a field was cut in two, and the others moved.
 */
function toRow(
  line: number,
  fields: readonly string[],
  { columns, spare }: { columns: readonly string[]; spare: number },
): Cut<Row> {
  const more = fields.slice(columns.length)
  const isOver = more.length > spare || more.some((field) => field !== '')
  if (fields.length < columns.length || isOver) {
    return { line, why: `has ${fields.length} fields, not ${columns.length} as the first line` }
  }
  const row: Record<string, string> = Object.create(null)
  for (const [i, name] of columns.entries()) row[name] = (fields[i] as string).trim()
  return { line, value: row }
}

async function* plainRows(source: Source, delimiter: string): AsyncGenerator<Cut<string[]>> {
  for await (const cut of source.lines()) {
    if ('why' in cut) yield cut
    else if (cut.value.trim() !== '') yield { line: cut.line, value: cut.value.split(delimiter) }
  }
}

const marks = (text: string): number => text.split('"').length - 1

async function* quotedRows(source: Source, delimiter: string): AsyncGenerator<Cut<string[]>> {
  const lines = source.lines()
  /** Lines that were read in search of a closing quotation mark. */
  const ahead: Cut<string>[] = []
  const next = async (): Promise<Cut<string> | undefined> => {
    const { value, done } = await lines.next()
    return done ? undefined : value
  }
  for (let cut = await next(); cut !== undefined; cut = ahead.shift() ?? (await next())) {
    if ('why' in cut) yield cut
    else if (marks(cut.value) % 2 === 0) {
      if (cut.value.trim() !== '') yield split(cut.line, cut.value, delimiter)
    } else {
      const more = await closeRow(ahead, next)
      const { line, value } = cut
      if (more === undefined) yield { line, why: 'opens a quotation mark that is not closed' }
      else yield split(line, [value, ...more].join('\n'), delimiter)
    }
  }
}

/** Takes the lines up to the one that closes the row; undefined, and none, when there is none. */
async function closeRow(
  ahead: Cut<string>[],
  next: () => Promise<Cut<string> | undefined>,
): Promise<string[] | undefined> {
  for (let i = 0; i < maxRowLines; i++) {
    if (i === ahead.length) {
      const read = await next()
      if (read === undefined) return undefined
      ahead.push(read)
    }
    const cut = ahead[i] as Cut<string>
    if ('why' in cut) return undefined
    if (marks(cut.value) % 2 === 1) {
      return ahead.splice(0, i + 1).map((one) => ('value' in one ? one.value : ''))
    }
  }
  return undefined
}

/** @param text has an even number of quotation marks */
function split(line: number, text: string, delimiter: string): Cut<string[]> {
  if (!text.includes('"')) return { line, value: text.split(delimiter) }
  const fields: string[] = []
  for (let from = 0; from <= text.length; ) {
    if (text[from] !== '"') {
      const end = text.indexOf(delimiter, from)
      const field = text.slice(from, end === -1 ? undefined : end)
      if (field.includes('"')) return { line, why: 'has a quotation mark within a field' }
      fields.push(field)
      from = end === -1 ? text.length + 1 : end + delimiter.length
      continue
    }
    const end = endOfQuoted(text, from)
    fields.push(text.slice(from + 1, end).replaceAll('""', '"'))
    from = end + 1 + delimiter.length
    if (end + 1 < text.length && !text.startsWith(delimiter, end + 1)) {
      return { line, why: 'has text after a closing quotation mark' }
    }
  }
  return { line, value: fields }
}

/** Where the quotation mark is that closes a field; two in a row are one of its text. */
function endOfQuoted(text: string, from: number): number {
  for (let at = text.indexOf('"', from + 1); at !== -1; at = text.indexOf('"', at + 2)) {
    if (text[at + 1] !== '"') return at
  }
  return text.length
}
