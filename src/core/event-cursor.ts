import { toSort } from './cursor-wire.ts'
import { AppError } from './errors.ts'
import type { EventFilter, EventPosition } from './job.ts'
import { isCanonical } from './time.ts'
import { isUuid } from './uuid.ts'

type Order = EventFilter['order']

/** The text that stands for a position among the events of a job in that order, opaque to clients. */
export const eventCursorToWire = ({ at, key }: EventPosition, order: Order): string =>
  Buffer.from(`${order} ${at}/${key}`).toString('base64url')

/**
 * The inverse of {@link eventCursorToWire}, for events in the same order.
 *
 * @throws AppError invalid when the text was not made by it, or for the other order
 */
export function readEventCursor(text: string, order: Order): EventPosition {
  const [made, position = '', ...more] = Buffer.from(text, 'base64url').toString('utf8').split(' ')
  const [at = '', key = '', ...others] = position.split('/')
  const isPosition = isCanonical(at) && isUuid(key) && more.length + others.length === 0
  if (!isPosition || (made !== 'asc' && made !== 'desc')) {
    throw refused('cursor: must be next_cursor of the previous page, unchanged')
  }
  if (made !== order) {
    throw refused(
      `cursor: was made for sort=${toSort(made)}; send the same parameters, or omit the cursor`,
    )
  }
  return { at, key }
}

const refused = (message: string) => new AppError('invalid', message, { field: 'cursor' })
