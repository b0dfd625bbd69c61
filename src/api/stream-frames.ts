import * as z from 'zod'
import type { LiveBatch, LiveEvent, LivePosition, LiveSites } from '../core/live.ts'
import { formatSse } from '../platform/sse.ts'
import { appNameParam, siteParam } from './job-params.ts'
import { choice, text, uuid } from './query-params.ts'

/* Which events a reader of the stream is sent, and their text. */

export const streamParams = z.object({
  site: siteParam('Only events of this site.'),
  app: appNameParam,
  entity_type: choice(['job', 'subjob'], 'Only events of jobs, or only of subjobs.').optional(),
  job_id: uuid('Only events of this job or subjob and of its subjobs.').optional(),
  last_event_id: text(8192, 'Resume after this id, for clients that cannot send Last-Event-ID.'),
})

export type StreamFilter = Pick<
  z.infer<typeof streamParams>,
  'site' | 'app' | 'entity_type' | 'job_id'
>

/** What a feed of one site, or of several, brings at once. */
export type Batch = LiveBatch | LiveSites
/** An event, missed events, the position after them, or the sites of a merged feed. */
export type Entry = LiveEvent | 'reset' | LivePosition | LiveSites

export const toEntries = (batch: Batch): readonly Entry[] =>
  batch === 'reset' || !('length' in batch) ? [batch] : batch

/** The position of a reader that has had this entry; undefined where that tells none. */
export function positionAfter(entry: Entry): string | undefined {
  if (entry === 'reset' || 'missing' in entry) return undefined
  return 'position' in entry ? entry.position : entry.id
}

/** The same for all filters that let the same events pass. */
export const filterKey = ({ site, app, entity_type, job_id }: StreamFilter): string =>
  JSON.stringify([site, app?.toLowerCase(), entity_type, job_id])

const texts = new WeakMap<LiveEvent, string>()

/**
 * The entry as every reader is sent it; empty for a position, which signs of life carry. An event is written once,
 * however many readers it has.
 */
export function frame(entry: Entry): string {
  if (entry === 'reset') return formatSse({ event: 'reset', data: '{}' })
  if ('position' in entry) return ''
  if ('missing' in entry) return formatSse({ event: 'sites', data: JSON.stringify(entry) })
  let known = texts.get(entry)
  if (known === undefined) {
    const { id, event } = entry
    known = formatSse({ id, event: kindOf(event), data: JSON.stringify(event) })
    texts.set(entry, known)
  }
  return known
}

/** @returns undefined when the filter lets nothing pass */
export function frameAll(entries: readonly Entry[], filter: StreamFilter): Uint8Array | undefined {
  let all = ''
  for (const entry of entries) if (passes(entry, filter)) all += frame(entry)
  return all === '' ? undefined : Buffer.from(all)
}

type Envelope = {
  site_id?: string
  app?: { name?: string }
  entity?: { type?: string; id?: string; parent_id?: string | null }
  event?: { kind?: string }
}

const kindOf = (event: Envelope) => event.event?.kind ?? 'message'

function passes(entry: Entry, { site, app, entity_type, job_id }: StreamFilter): boolean {
  if (entry === 'reset' || !('event' in entry)) return true
  const envelope: Envelope = entry.event
  const { entity } = envelope
  return (
    (site === undefined || envelope.site_id === site) &&
    (app === undefined || (envelope.app?.name ?? '').toLowerCase().includes(app.toLowerCase())) &&
    (entity_type === undefined || entity?.type === entity_type) &&
    (job_id === undefined || entity?.id === job_id || entity?.parent_id === job_id)
  )
}
