/**
 * A line of CSV (RFC 4180): fields separated by commas, or by another delimiter, quoted when they contain
 * it, a quote or a line break, ended by CRLF. Objects become JSON text, null becomes empty.
 *
 * Guarantee: no field that is text starts a formula, also for a reader that takes `;` or a tab for the
 * end of a field, as spreadsheets do in many countries. This is the only CSV writer.
 */
export const csvLine = (values: readonly unknown[], delimiter: Delimiter = ','): string =>
  `${values.map((value) => field(value, delimiter)).join(delimiter)}\r\n`

/** The characters that may end a field. */
export const delimiters = [',', ';', '\t', '|'] as const
export type Delimiter = (typeof delimiters)[number]

function field(value: unknown, delimiter: Delimiter): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  const text =
    typeof value === 'string' ? inert(value, delimiter) : inertJson(JSON.stringify(value))
  return quoted(text, delimiter)
}

/**
 * Spreadsheets run text that begins with one of these as a formula: a business key could reach the
 * network from the machine of the person who opens the file. A leading apostrophe keeps it text.
 * Numbers are not changed. Quotes do not help where `;` ends a field: they count only at the begin of
 * one, and before them stand the fields and commas of the line.
 */
const inert = (text: string, delimiter: Delimiter): string =>
  text.replaceAll(delimiter === '|' ? beforeFormulaOrBar : beforeFormula, "'")

/** The places before a formula: at the begin of the text, or of what another reader takes for a field. */
const beforeFormula = /(?<=^|[;\t\r\n])(?=[" ]*[=+\-@\t\r\n＝＋－＠])/g

/** The same where `|` ends a field. */
const beforeFormulaOrBar = /(?<=^|[|;\t\r\n])(?=[" ]*[=+\-@\t\r\n＝＋－＠])/g

/** In JSON `;` is only found in texts, where an escape means the same character. */
const inertJson = (json: string): string => json.replaceAll(';', '\\u003b')

const quoted = (text: string, delimiter: Delimiter): string =>
  /["\r\n]/.test(text) || text.includes(delimiter) ? `"${text.replaceAll('"', '""')}"` : text
