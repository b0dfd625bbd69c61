import type { Statement } from 'better-sqlite3'
import { ensure } from '../core/must.ts'
import type { Db } from './db.ts'

/** Numbers after one of them, up to another. */
export type Range = { after: number; upTo: number }

/**
 * Rows in their order. `upTo`: up to here they are all that can be read. `passed`: numbers that were passed over
 * because something cannot be read there; not each of them need have had a row.
 */
export type Part<R> = { rows: R[]; upTo: number; passed: number; isLast: boolean }

/** Of a part: what can be written in one commit without being felt. */
const maxRows = 500
const maxBytes = 2 ** 20
/** One by one up to here, then in strides that double. */
const maxMisses = 500

/**
 * Reads the rows of a table of which parts cannot be read, by their whole number, in order and part by
 * part. Damage hides a row, a page of some rows, or all that lies under one of the pages above; the row
 * after it is found by looking for it again and again, further each time.
 */
export class DamagedTable<R extends { body: unknown }> {
  readonly #key: string
  /** Undefined when there is no such table any more. */
  readonly #statements: { after: Statement; one: Statement; seek: Statement } | undefined

  /** @param key the column of the number */
  constructor(db: Db, table: string, key: string, columns: string) {
    this.#key = key
    const rows = `select ${columns} from ${table} where ${key}`
    const next = `> ? and ${key} <= ? order by ${key} limit`
    this.#statements = attempt(() => ({
      after: db.prepare(`${rows} ${next} ${maxRows}`),
      one: db.prepare(`${rows} = ?`),
      seek: db.prepare(`select ${key} from ${table} where ${key} ${next} 1`).pluck(),
    })).value
  }

  /** The next rows of a range, as many as may be written at a time. */
  read(range: Range): Part<R> {
    const { rows, bytes, isWhole } = this.#iterate(range)
    const last = rows.at(-1) as Record<string, number> | undefined
    const part = { rows, upTo: last?.[this.#key] ?? range.after, passed: 0, isLast: false }
    if (!isWhole) return this.#step(part, range.upTo)
    return rows.length < maxRows && bytes < maxBytes ? { ...part, isLast: true } : part
  }

  /** Rows up to the first that cannot be read. */
  #iterate({ after, upTo }: Range): { rows: R[]; bytes: number; isWhole: boolean } {
    const rows: R[] = []
    let bytes = 0
    const statements = this.#statements
    if (!statements) return { rows, bytes, isWhole: false }
    let last = after
    const { error } = attempt(() => {
      for (const row of statements.after.iterate(after, upTo) as Iterable<R>) {
        const number = row[this.#key as keyof R] as number
        ensure(number > last, 'rows come in their order')
        last = number
        rows.push(row)
        bytes += String(row.body).length
        if (bytes >= maxBytes) break
      }
    })
    return { rows, bytes, isWhole: error === undefined }
  }

  /** Past a place that cannot be read as a whole: to the next row, and it. */
  #step({ rows, upTo }: Part<R>, end: number): Part<R> {
    const found = this.#findAfter(upTo, end)
    if (found === undefined) return { rows, upTo, passed: end - upTo, isLast: true }
    const row = attempt(() => this.#statements?.one.get(found) as R | undefined).value
    const passed = found - upTo - (row ? 1 : 0)
    return { rows: row ? [...rows, row] : rows, upTo: found, passed, isLast: false }
  }

  #findAfter(after: number, end: number): number | undefined {
    if (!this.#statements) return undefined
    let [bad, stride] = [after, 1]
    for (let misses = 0; bad < end; misses++) {
      const found = this.#seek(bad, end)
      if (found !== 'unreadable') return stride > 1 ? this.#bisect(bad - stride, bad, end) : found
      if (misses >= maxMisses) stride *= 2
      bad += stride
    }
    return undefined
  }

  /** The first row between a place that cannot be read and one that can. */
  #bisect(bad: number, good: number, end: number): number | undefined {
    let [low, high] = [bad, good]
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2)
      if (this.#seek(middle, end) === 'unreadable') low = middle
      else high = middle
    }
    return this.#seek(high, end) as number | undefined
  }

  #seek(after: number, end: number): number | undefined | 'unreadable' {
    const { value, error } = attempt(() => this.#statements?.seek.get(after, end))
    if (error !== undefined) return 'unreadable'
    // A page whose rows are not in order is damaged too, though SQLite does not see it.
    return typeof value === 'number' && value <= after
      ? 'unreadable'
      : (value as number | undefined)
  }
}

export function attempt<T>(read: () => T): { value?: T; error?: unknown } {
  try {
    return { value: read() }
  } catch (error) {
    return { error }
  }
}
