/**
 * A line of CSV (RFC 4180): fields separated by commas, quoted when they contain a comma, a quote or
 * a line break, ended by CRLF. Objects become JSON text, null becomes empty.
 *
 * Guarantee: no field that is text starts a formula. This is the only CSV writer.
 */
export const csvLine = (values: readonly unknown[]): string => `${values.map(field).join(',')}\r\n`

function field(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return quoted(typeof value === 'string' ? inert(value) : JSON.stringify(value))
}

/**
 * Spreadsheets run text that begins with one of these as a formula: a business key could reach the
 * network from the machine of the person who opens the file. A leading apostrophe keeps it text.
 * Numbers are not changed.
 */
const inert = (text: string): string => (/^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text)

const quoted = (text: string): string =>
  /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
