import { fromMs } from '../../core/time.ts'
import { uuidV5 } from '../../core/uuid.ts'
import type { TraceRecord } from './records.ts'

/** The start or the end of a record, with its place among the steps of the same time. */
export type Step = { atMs: number; rank: number; record: TraceRecord; end: boolean }

/**
 * The steps of a replay in the order of time; at the same time a job starts before its subjobs and
 * ends after them. A record that neither began nor ended (a lot that waits) has no step.
 */
export function planSteps(records: readonly TraceRecord[]): { steps: Step[]; waiting: number } {
  const steps: Step[] = []
  let waiting = 0
  for (const record of records) {
    const { start_ts, end_ts } = record
    const sub = record.parent_id ? 1 : 0
    if (start_ts != null) steps.push({ atMs: start_ts, rank: sub, record, end: false })
    if (end_ts != null && endOf(record))
      steps.push({ atMs: end_ts, rank: 3 - sub, record, end: true })
    if (start_ts == null && end_ts == null) waiting++
  }
  steps.sort((a, b) => a.atMs - b.atMs || a.rank - b.rank)
  return { steps, waiting }
}

const ends: Record<string, { kind: string; status: string }> = {
  completed: { kind: 'finished', status: 'succeeded' },
  failed: { kind: 'error', status: 'failed' },
  canceled: { kind: 'canceled', status: 'canceled' },
}
const endOf = ({ status }: TraceRecord) => ends[status]

/**
 * The event of a step. All of it follows from the record, so that a second replay sends the same
 * events and changes nothing.
 */
export function toEvent({ record, end, atMs }: Step, siteId: string): object {
  const id = uuidV5(`${record.trace}:${record.job_id}`)
  const started = record.start_ts == null ? {} : { started_at: fromMs(record.start_ts) }
  return {
    idempotency_key: uuidV5(`${record.trace}:${record.job_id}\n${end ? 'end' : 'start'}`),
    site_id: siteId,
    app: { app_id: uuidV5(`app\n${record.app}`), name: record.app, version: '' },
    entity: {
      type: record.parent_id ? 'subjob' : 'job',
      id,
      ...(record.parent_id ? { parent_id: uuidV5(`${record.trace}:${record.parent_id}`) } : {}),
      ...(record.parent_id
        ? { sub_key: record.name.slice(0, 256) }
        : { business_key: record.name.slice(0, 256) }),
    },
    event: end
      ? {
          ...endOf(record),
          at: fromMs(atMs),
          ended_at: fromMs(atMs),
          ...started,
          metrics: metricsOf(record),
          ...saidOf(record),
        }
      : { kind: 'started', at: fromMs(atMs), ...started, metadata: metadataOf(record) },
    historical: true,
  }
}

/** Attributes that are known only at the end. */
const ofTheEnd = ['error', 'error_type', 'reason']

function metadataOf(record: TraceRecord): object {
  const { tool, user } = record
  const known = attrsOf(record, (name) => !ofTheEnd.includes(name))
  return { ...known, ...(tool ? { tool } : {}), ...(user ? { user } : {}) }
}

function saidOf(record: TraceRecord): { metadata?: object } {
  const metadata = attrsOf(record, (name) => ofTheEnd.includes(name))
  return Object.keys(metadata).length > 0 ? { metadata } : {}
}

const attrsOf = ({ attrs }: TraceRecord, wanted: (name: string) => boolean): object =>
  Object.fromEntries(Object.entries(attrs ?? {}).filter(([name]) => wanted(name)))

/** CPU and memory only where the record has them. */
function metricsOf({ start_ts, end_ts, cpu_s, mem_bytes }: TraceRecord): Record<string, number> {
  return {
    ...(start_ts != null && end_ts != null
      ? { duration_s: Math.max(0, end_ts - start_ts) / 1000 }
      : {}),
    ...(cpu_s == null ? {} : { cpu_user_s: cpu_s }),
    ...(mem_bytes == null ? {} : { mem_max_mb: mem_bytes / 2 ** 20 }),
  }
}
