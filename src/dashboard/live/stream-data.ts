import * as z from 'zod'
import type { MissingSite } from '../../../views/page.ts'
import { parseText } from '../../core/json.ts'
import { type Micros, parseTime } from '../../core/time.ts'

/* What the messages of an API's live stream say. */

/** The sites that a merged stream is missing; undefined when the message cannot be read. */
export function parseSites(data: string): { total: number; missing: MissingSite[] } | undefined {
  return sitesSchema.safeParse(parseOrUndefined(data)).data
}

const sitesSchema = z.object({
  total: z.number(),
  missing: z.array(z.object({ id: z.string(), since: z.string() })),
})

function parseOrUndefined(data: string): unknown {
  try {
    return parseText(data)
  } catch {
    return undefined
  }
}

type Entity = {
  id: string
  parentId: string | null
  type: string
  at: Micros | undefined
  receivedAt: Micros | undefined
}

type Envelope = {
  entity?: Record<string, unknown>
  event?: Record<string, unknown>
  received_at?: unknown
}

/** The job or subjob of an event; undefined when it is not an event. */
export function parseEntity(data: string): Entity | undefined {
  const envelope = parseOrUndefined(data) as Envelope | null | undefined
  const entity = envelope?.entity
  if (typeof entity?.id !== 'string') return undefined
  const parentId = typeof entity.parent_id === 'string' ? entity.parent_id : null
  const timeOf = (given: unknown) => (typeof given === 'string' ? parseTime(given) : undefined)
  return {
    ...{ id: entity.id, parentId, type: String(entity.type) },
    at: timeOf(envelope?.event?.at),
    receivedAt: timeOf(envelope?.received_at),
  }
}
