import { AppError } from './errors.ts'
import type { EventPosition } from './job.ts'
import { isCanonical } from './time.ts'
import { isUuid } from './uuid.ts'

/** The text that stands for a position among the events of a job, opaque to clients. */
export const eventCursorToWire = ({ at, key }: EventPosition): string =>
  Buffer.from(`${at}/${key}`).toString('base64url')

/**
 * The inverse of {@link eventCursorToWire}.
 *
 * @throws AppError invalid when the text was not made by it
 */
export function readEventCursor(text: string): EventPosition {
  const [at = '', key = '', ...more] = Buffer.from(text, 'base64url').toString('utf8').split('/')
  if (isCanonical(at) && isUuid(key) && more.length === 0) return { at, key }
  throw new AppError('invalid', 'cursor: must be next_cursor of the previous page, unchanged', {
    field: 'cursor',
  })
}
