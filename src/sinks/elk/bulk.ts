import type { Outgoing, Refusal } from '../../core/delivery.ts'
import { findUnfit, toDocument } from '../../core/event-columns.ts'
import { eventId } from '../../core/event-id.ts'
import { parseTime } from '../../core/time.ts'

/** An event as it goes into a request, or why it cannot. */
export type Item = { id: string; lines: string } | Refusal

/** The lines of an event in a bulk request. The same event has the same index and the same id. */
export function toItem({ event }: Outgoing, prefix: string): Item {
  const unfit = findUnfit(event)
  if (unfit || !event) return unfit ?? { field: '', detail: 'is not JSON' }
  const { at } = event.event ?? {}
  if (typeof at !== 'string' || parseTime(at) === undefined) {
    return {
      field: 'event.at',
      detail: 'is not a time from 1970 to 9999: there is no index for it',
    }
  }
  const id = eventId(event)
  const index = `${prefix}-${at.slice(0, 10).replaceAll('-', '.')}`
  const action = JSON.stringify({ create: { _index: index, _id: id } })
  return { id, lines: `${action}\n${JSON.stringify(toDocument(event))}\n` }
}

export const isRefusal = (item: Item): item is Refusal => 'detail' in item
