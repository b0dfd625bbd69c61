/**
 * A line of CSV (RFC 4180): fields between commas, quoted when they hold a comma, a quote or a line
 * break, ended by CRLF. Objects become JSON text, null becomes empty.
 */
export const csvLine = (values: readonly unknown[]): string => `${values.map(field).join(',')}\r\n`

function field(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return String(value)
  return quoted(typeof value === 'string' ? inert(value) : JSON.stringify(value))
}

/**
 * A spreadsheet takes text that begins so for a formula and runs it: a business key could reach out
 * to the network from the machine of whoever opens the file. An apostrophe in front keeps it text.
 * Numbers are not touched.
 */
const inert = (text: string): string => (/^[=+\-@\t\r\n]/.test(text) ? `'${text}` : text)

const quoted = (text: string): string =>
  /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
