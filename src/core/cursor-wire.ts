import { createHash } from 'node:crypto'
import { AppError } from './errors.ts'
import { type Cursor, type JobFilter, type Position, type TimeField, timeFields } from './job.ts'
import { isCanonical } from './time.ts'

/*
 * The text that stands for a cursor in links and queries, opaque to clients (wire.md, section 7): a
 * check sum, the version, the time field and order of the list, and the position (of each site, when
 * there are several). Central and the dashboard make cursors for other APIs by the same rules.
 *
 * Guarantees: a text that was cut or changed is refused; a cursor is read only for the list that it
 * was made for; positions keep their microseconds.
 */

/** The list that a cursor was made for: after the same row, another list has other rows. */
export type ListOrder = Pick<JobFilter, 'time' | 'order'>

const version = '1'
const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

export function cursorToWire(cursor: Cursor, { time, order }: ListOrder): string {
  const sites = [...(cursor.sites ?? [])].map(([id, position]) => `${id}=${place(position)}`)
  const text = [version, time, order, place(cursor), ...sites].join(' ')
  return Buffer.from(sum(text) + text).toString('base64url')
}

const place = ({ at, id }: Position) => `${at}/${id}`

/** Not a secret: it only detects a cursor that was cut or changed. */
const sum = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 8)

/**
 * The inverse of {@link cursorToWire}.
 *
 * @returns undefined when the text was not made by it, or not by this version
 */
export function cursorFromWire(text: string): (Cursor & ListOrder) | undefined {
  const bytes = Buffer.from(text, 'base64url')
  if (bytes.toString('base64url') !== text) return undefined
  const plain = bytes.toString('utf8')
  const body = plain.slice(8)
  if (plain.slice(0, 8) !== sum(body)) return undefined
  const [made, time, order, at = '', ...sites] = body.split(' ')
  const position = placeFrom(at)
  if (made !== version || !isTimeField(time) || !isOrder(order) || !position) return undefined
  if (sites.length === 0) return { ...position, time, order }
  const places = sitesFrom(sites)
  return places && { ...position, time, order, sites: places }
}

const isTimeField = (text: string | undefined): text is TimeField =>
  (timeFields as readonly (string | undefined)[]).includes(text)
const isOrder = (text: string | undefined): text is JobFilter['order'] =>
  text === 'asc' || text === 'desc'

function placeFrom(text: string): Position | undefined {
  const [at = '', id = '', ...more] = text.split('/')
  return isCanonical(at) && pattern.test(id) && more.length === 0 ? { at, id } : undefined
}

function sitesFrom(texts: string[]): Map<string, Position> | undefined {
  const sites = new Map<string, Position>()
  for (const text of texts) {
    const equals = text.indexOf('=')
    const position = placeFrom(text.slice(equals + 1))
    if (equals < 1 || !position) return undefined
    sites.set(text.slice(0, equals), position)
  }
  return sites
}

/**
 * Reads a cursor for the list that it is given with.
 *
 * @throws AppError invalid, when this API did not make it, or made it for another list
 */
export function readCursor(text: string, { time, order }: ListOrder): Cursor {
  const cursor = cursorFromWire(text)
  if (!cursor) {
    throw refused('cursor: not a valid cursor; send next_cursor of the previous page, unchanged')
  }
  if (cursor.time !== time || cursor.order !== order) {
    const made = `time=${cursor.time}&sort=${toSort(cursor.order)}`
    throw refused(`cursor: was made for ${made}; send the same parameters, or omit the cursor`)
  }
  const { at, id, sites } = cursor
  return sites ? { at, id, sites } : { at, id }
}

const refused = (message: string) => new AppError('invalid', message, { field: 'cursor' })

/** The names of the two orders in queries. */
export const sorts = ['newest', 'oldest'] as const
export const toSort = (order: JobFilter['order']): (typeof sorts)[number] =>
  order === 'desc' ? 'newest' : 'oldest'
export const toOrder = (sort: (typeof sorts)[number]): JobFilter['order'] =>
  sort === 'newest' ? 'desc' : 'asc'
