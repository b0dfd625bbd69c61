import { maxPageBytes } from './answer-size.ts'
import type { Position } from './job.ts'

/*
 * One page of a list from parts of it that were read in different places: the sites of a central API, the hot store and
 * the archive. Every part is in the order of the list and begins after the same cursor.
 *
 * A part that ends before the list does says where. What it has after that is unknown, and could come before the rows of
 * the others, so the page ends there at the latest; a part without any row still moves its end on, and so the page.
 */

/** `end` is null when nothing follows in this part. */
export type Part<Row extends Position> = { rows: readonly Row[]; end: Position | null }

export type Merged<Row> = {
  rows: Row[]
  /** Where the next page begins; null when nothing follows. */
  end: Position | null
}

export type ListShape<Row> = { order: 'asc' | 'desc'; limit: number; sizeOf: (row: Row) => number }

/** Up to the limit of the list and the bytes of a page, and no further than every part was read. */
export function mergeParts<Row extends Position>(
  parts: readonly Part<Row>[],
  { order, limit, sizeOf }: ListShape<Row>,
): Merged<Row> {
  const compare = comparePositions(order)
  const [end = null] = parts.flatMap((part) => part.end ?? []).sort(compare)
  const all = parts.flatMap(({ rows }) => rows).sort(compare)
  const rows: Row[] = []
  let bytes = 0
  for (const row of all) {
    if (end && compare(row, end) > 0) break
    bytes += sizeOf(row)
    if (rows.length === limit || (rows.length > 0 && bytes > maxPageBytes)) {
      return { rows, end: rows.at(-1) ?? end }
    }
    rows.push(row)
  }
  return { rows, end }
}

/** Below 0 when `a` comes first. */
export const comparePositions =
  (order: 'asc' | 'desc') =>
  (a: Position, b: Position): number => {
    const sign = order === 'asc' ? 1 : -1
    if (a.at !== b.at) return a.at < b.at ? -sign : sign
    return a.id === b.id ? 0 : a.id < b.id ? -sign : sign
  }
