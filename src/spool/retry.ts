import { AppError } from '../core/errors.ts'
import { parseText } from '../core/json.ts'
import type { Epochs } from './epochs.ts'
import type { Rejects } from './rejects.ts'
import { stamp } from './stamp.ts'

export type RetryOptions = {
  rejects: Rejects
  epochs: Epochs
  /** Names of the configured sinks. */
  sinks: readonly string[]
  /** Number of the next event, and up to where no event is left. */
  seq: number
  gone: number
}

/**
 * Marks a reject to be offered to its own sink again, before new events, with the number that it had.
 *
 * @returns false when there is no such reject
 * @throws AppError conflict when its sink is not configured; overloaded when the disk fails
 */
export function retry(id: number, { rejects, epochs, sinks, seq, gone }: RetryOptions): boolean {
  const row = rejects.get(id)
  if (!row) return false
  if (!sinks.includes(row.sink)) {
    const why = `its sink ${row.sink} is not configured; configure it, then retry`
    throw new AppError('conflict', why, { field: 'id' })
  }
  const { body, isNew } = toRetry(row)
  const given = epochs.given + Number(isNew)
  const sent = isNew ? stamp(body, epochs.sourceId, epochs.epoch, given) : body
  rejects.retry(row, sent, () => {
    if (isNew) epochs.record(seq, gone)
  })
  if (isNew) epochs.recorded(seq, given)
  return true
}

/** A reject as it is sent. `isNew`: without a stamp, it gets a number of its own. */
type Retry = { body: string; isNew: boolean }

/**
 * An event that was refused for its stamp alone is refused with it for ever, however often it is
 * offered: its sidecar had a damaged id. It is taken for an event that has not been numbered yet.
 */
function toRetry({ body, field }: { body: string; field: string }): Retry {
  const isStamp = field === 'source' || field.startsWith('source.')
  return isStamp ? { body: withoutStamp(body), isNew: true } : { body, isNew: false }
}

/** The stamp of a spool is the last field. Cut off, so that everything before it stays as it came. */
function withoutStamp(body: string): string {
  const at = body.lastIndexOf(',"source":{')
  if (at > 0 && isOnlyStamp(`{${body.slice(at + 1)}`)) return `${body.slice(0, at)}}`
  const { source, ...event } = parseText(body) as Record<string, unknown>
  return source === undefined ? body : JSON.stringify(event)
}

function isOnlyStamp(text: string): boolean {
  try {
    return Object.keys(parseText(text) as object).length === 1
  } catch {
    return false
  }
}
