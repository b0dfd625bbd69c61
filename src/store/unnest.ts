/**
 * Many rows as parameters of one statement: an array for each column, joined again by `unnest`.
 * PostgreSQL reads them in half the time of the same rows as JSON.
 */

/** The name of a column, and its type. */
export type Column = readonly [name: string, type: string]

/**
 * `unnest($1::uuid[], $2::text[], ...) as d (id, name, ...)`: parameters from $1 on, one a column. A
 * column of a list type comes as text, since an array of arrays would be taken apart: cast it.
 */
export function unnestSql(alias: string, columns: readonly Column[]): string {
  const arrays = columns.map(
    ([, type], index) => `$${index + 1}::${isList(type) ? 'text' : type}[]`,
  )
  return `unnest(${arrays.join(', ')}) as ${alias} (${columns.map(([name]) => name).join(', ')})`
}

/**
 * The parameters for {@link unnestSql}: each column's values as text of PostgreSQL's array form.
 * Absent and null are NULL, objects are JSON.
 *
 * Not by the driver: of an object that has a field `type` it would send the field `value`.
 */
export function toArrays<T extends object>(
  rows: readonly T[],
  columns: readonly Column[],
): string[] {
  return columns.map(([name, type]) => {
    const element = isList(type) ? list : type === 'text' || type === 'jsonb' ? quoted : plain
    return `{${rows.map((row) => element(row[name as keyof T])).join(',')}}`
  })
}

const isList = (type: string) => type.endsWith('[]')

/** A list of numbers in the form of an array, as a text. */
const list = (value: unknown) => (Array.isArray(value) ? `"{${value.join(',')}}"` : 'NULL')

/** Ids, times and numbers, which never contain a character with a meaning in an array. */
const plain = (value: unknown) => (value === undefined || value === null ? 'NULL' : value)

/** Without quotes a text may be read as NULL, or as two texts. */
function quoted(value: unknown): string {
  if (value === undefined || value === null) return 'NULL'
  // JSON has no control characters: a JSON string of it escapes exactly what an array needs.
  if (typeof value === 'object') return JSON.stringify(JSON.stringify(value))
  const text = String(value)
  return needsEscape.test(text) ? `"${text.replace(escaped, '\\$&')}"` : `"${text}"`
}

const needsEscape = /["\\]/
const escaped = /["\\]/g
