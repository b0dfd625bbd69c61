import { createHash } from 'node:crypto'
import { fromMs } from '../../core/time.ts'
import { uuidV5 } from '../../core/uuid.ts'
import { DistinctTimes } from './distinct.ts'
import { hasEnded, type TraceRecord, waiting } from './records.ts'

/** What a record says of a time, with its place among the steps of the same time. */
export type Step = { atMs: number; rank: number; record: TraceRecord; of: 'wait' | 'start' | 'end' }

/**
 * The steps of a replay in the order of time; at the same time a job starts before its subjobs and
 * ends after them. A record that waits has the time of its submission alone; one without any time has no step.
 */
export function planSteps(records: readonly TraceRecord[]): { steps: Step[]; timeless: number } {
  const steps: Step[] = []
  let timeless = 0
  for (const record of records) {
    const { submit_ts, start_ts, end_ts, status } = record
    const sub = record.parent_id ? 1 : 0
    const waits = start_ts == null && submit_ts != null && waiting.has(status)
    const ends = end_ts != null && hasEnded(record)
    if (waits) steps.push({ atMs: submit_ts, rank: sub - 2, record, of: 'wait' })
    if (start_ts != null) steps.push({ atMs: start_ts, rank: sub, record, of: 'start' })
    if (ends) steps.push({ atMs: end_ts, rank: 3 - sub, record, of: 'end' })
    if (!waits && start_ts == null && !ends) timeless++
  }
  steps.sort((a, b) => a.atMs - b.atMs || a.rank - b.rank)
  return { steps, timeless }
}

const ends: Record<string, { kind: string; status: string }> = {
  completed: { kind: 'finished', status: 'succeeded' },
  failed: { kind: 'error', status: 'failed' },
  canceled: { kind: 'canceled', status: 'canceled' },
}
/** It ended, and how is not known. */
const unknownEnd = { kind: 'finished', status: 'unknown' }

const endOf = ({ status }: TraceRecord) => ends[status] ?? unknownEnd

/** A function that makes the event of each step in turn, with times that are distinct within a job. */
export function eventMaker(siteId: string): (step: Step) => object {
  const times = new DistinctTimes()
  return (step) => {
    const made = toEvent(step, siteId)
    const print = createHash('sha1').update(JSON.stringify(made)).digest('base64')
    made.event.at = times.take(made.entity.id, made.event.at, print)
    return made
  }
}

/**
 * The event of a step. All of it follows from the record, so that a second replay sends the same
 * events and changes nothing.
 */
function toEvent({ record, of, atMs }: Step, siteId: string) {
  const id = uuidV5(`${record.trace}:${record.job_id}`)
  return {
    idempotency_key: uuidV5(`${record.trace}:${record.job_id}\n${of}`),
    site_id: siteId,
    app: { app_id: uuidV5(`app\n${record.app}`), name: record.app, version: '' },
    entity: {
      type: record.parent_id ? 'subjob' : 'job',
      id,
      ...(record.parent_id ? { parent_id: uuidV5(`${record.trace}:${record.parent_id}`) } : {}),
      [record.parent_id ? 'sub_key' : 'business_key']: cutKey(record.name),
    },
    event: { at: fromMs(atMs), ...factOf(of, record) },
    historical: true,
  }
}

function factOf(of: Step['of'], record: TraceRecord): object {
  const { start_ts, end_ts } = record
  const started = start_ts == null ? {} : { started_at: fromMs(start_ts) }
  if (of === 'wait')
    return { kind: 'queued', metadata: { ...metadataOf(record), ...waitOf(record) } }
  if (of === 'start') return { kind: 'started', ...started, metadata: metadataOf(record) }
  return {
    ...endOf(record),
    ended_at: fromMs(end_ts as number),
    ...started,
    metrics: metricsOf(record),
    ...saidOf(record),
  }
}

/** Why it waits. */
const waitOf = (record: TraceRecord): object => attrsOf(record, (name) => name === 'reason')

const longestKey = 256

/** A cut between the halves of a surrogate pair would make a text that is refused. */
const cutKey = (name: string) => name.slice(0, longestKey).replace(/[\ud800-\udbff]$/, '')

/** Attributes that are known only at the end. */
const ofTheEnd = ['error', 'error_type', 'reason', 'message', 'exit_code', 'signal']

function metadataOf(record: TraceRecord): object {
  const { tool, user, submit_ts } = record
  return {
    ...(submit_ts == null ? {} : { submitted_at: fromMs(submit_ts) }),
    ...attrsOf(record, (name) => !ofTheEnd.includes(name)),
    ...(tool ? { tool } : {}),
    ...(user ? { user } : {}),
  }
}

function saidOf(record: TraceRecord): { metadata?: object } {
  const { exit_code, message, status } = record
  const said: Record<string, unknown> = {
    ...(exit_code == null ? {} : { exit_code }),
    ...(message ? { message } : {}),
    ...attrsOf(record, (name) => ofTheEnd.includes(name)),
  }
  const metadata = { ...said, ...explainEnd(status, said) }
  return Object.keys(metadata).length > 0 ? { metadata } : {}
}

/** In words what the record has only as a code, or not at all. */
function explainEnd(status: string, said: Record<string, unknown>): object {
  if (status === 'failed' && !said.error && !said.message) {
    if (said.reason) return { error: said.reason }
    return said.exit_code === undefined ? {} : { error: `exit code ${said.exit_code}` }
  }
  return ends[status] || said.reason ? {} : { reason: `the outcome is not known (${status})` }
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
