import { parseText } from '../core/json.ts'

/** A reject as it goes back into the spool. `isNew`: without a stamp, it gets a number of its own. */
export type Retry = { body: string; isNew: boolean }

/**
 * An event that was refused for its stamp alone is refused with it for ever, however often it is
 * offered: its sidecar had a damaged id. It is taken for an event that has not been numbered yet.
 */
export function toRetry({ body, field }: { body: string; field: string }): Retry {
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
