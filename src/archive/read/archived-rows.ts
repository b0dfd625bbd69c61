import type { AttemptEntries } from '../../core/attempt-entry.ts'
import type { JobStatus } from '../../core/job.ts'
import { parseText } from '../../core/json.ts'
import { must } from '../../core/must.ts'
import { fromMicros, type Micros, secondsBetween } from '../../core/time.ts'
import type { ArchiveColumn } from '../../store/archive/columns.ts'
import type { EventRow } from '../../store/events.ts'
import type { JobRow } from '../../store/job-rows.ts'
import type { ParquetValue } from './parquet-file.ts'

/* Rows of the archive, and as the hot store would give them. */

/** A row by the names of its columns; times as text, JSON as the text that it is. */
export type ArchivedRow = Record<string, ArchivedValue>
export type ArchivedValue = string | number | bigint | boolean | null

/** How the values of a column come to be those of a row. */
export function toArchivedValue({ type }: ArchiveColumn): (value: ParquetValue) => ArchivedValue {
  if (type === 'time') return (value) => (value === null ? null : fromMicros(value as bigint))
  return type === 'int'
    ? (value) => (value === null ? null : wholeNumber(value as bigint))
    : (value) => value
}

/** A bigint only where a number would lose digits, as of the database. */
function wholeNumber(value: bigint): number | bigint {
  const n = Number(value)
  return Number.isSafeInteger(n) ? n : value
}

/** A job or subjob as the store would give it, and what the store keeps apart. */
export type ArchivedJob = {
  row: JobRow
  /** The earlier attempts. */
  attempts: AttemptEntries | null
  version: number
}

/**
 * A row of a job's file as a row of the store. A subjob without a business key has none here, where the store looks for
 * that of its job; and earlier files do not have when a job was last queued.
 */
export function toArchivedJob(kind: 'job' | 'subjob', row: ArchivedRow): ArchivedJob {
  const attempts = jsonOf<AttemptEntries>(row.attempts)
  const isFailed = row.status === 'failed' ? 1 : 0
  return {
    attempts,
    version: Number(row.version ?? 0),
    // biome-ignore format: one line each would be thirty
    row: [
      text(row[`${kind}_id`]), kind, maybe(kind === 'job' ? row.parent_id : row.job_id), text(row.app_id),
      text(row.app_name), text(row.app_version), text(row.site_id), maybe(row.job_key), maybe(row.sub_key),
      text(row.status) as JobStatus, text(row.started_at), maybe(row.ended_at), float(row.duration_s), float(row.cpu_user_s),
      float(row.cpu_system_s), float(row.mem_max_mb), float(row.progress), slotsOf(row.metrics),
      Number(row.error_count ?? 0), maybe(row.last_error), text(row.last_event_at), Number(row.event_count ?? 0),
      text(row.inserted_at), text(row.updated_at), jsonOf<Record<string, unknown>>(row.metadata) ?? {},
      Number(row.attempt ?? 1), isFailed + countFailed(attempts), maybe(row.queued_at), queueS(row), maybe(row.last_queued_at),
    ],
  }
}

/** An event as a row of the store. */
export function toEventRow(row: ArchivedRow): EventRow {
  return {
    at: text(row.event_at),
    idempotencyKey: text(row.idempotency_key),
    receivedAt: text(row.received_at),
    entityType: row.entity_type === 'job' ? 'j' : 's',
    entityId: text(row.entity_id),
    parentId: maybe(row.parent_id),
    appId: text(row.app_id),
    appName: text(row.app_name),
    appVersion: text(row.app_version),
    siteId: text(row.site_id),
    businessKey: maybe(row.business_key),
    subKey: maybe(row.sub_key),
    kind: text(row.kind),
    status: maybe(row.status),
    startedAt: maybe(row.started_at),
    endedAt: maybe(row.ended_at),
    metrics: jsonOf(row.metrics),
    metadata: jsonOf(row.metadata),
    traceparent: maybe(row.traceparent),
    sourceId: maybe(row.source_id),
    sourceEpoch: maybe(row.source_epoch),
    sourceSeq: (row.source_seq ?? null) as number | null,
    historical: row.historical === true,
    extra: jsonOf(row.extra),
  }
}

const text = (value: ArchivedValue | undefined) =>
  String(must(value, 'a row of the archive has it'))
const maybe = (value: ArchivedValue | undefined) => (value ?? null) as string | null
const float = (value: ArchivedValue | undefined) => (value ?? null) as number | null

/** As the driver reads JSON. */
const jsonOf = <T extends object>(value: ArchivedValue | undefined): T | null =>
  value == null ? null : (parseText(String(value)) as T)

/** The store keeps which event gave a value, for the fold; it is not shown, and not archived. */
function slotsOf(metrics: ArchivedValue | undefined): JobRow[17] {
  const values = jsonOf<Record<string, number>>(metrics)
  if (values === null) return null
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, ['', value]]))
}

const countFailed = (attempts: AttemptEntries | null) =>
  Object.values(attempts ?? {}).filter(({ end }) => end?.status === 'failed').length

/**
 * How long it waited for its start. Of one that has ended, whose start no event tells, the duration is not known either:
 * core/spans.ts.
 */
function queueS({
  queued_at,
  started_at,
  ended_at,
  duration_s,
  status,
}: ArchivedRow): number | null {
  const isStartTold = ended_at == null ? status !== 'queued' : duration_s != null
  if (queued_at == null || !isStartTold) return null
  return Math.max(0, secondsBetween(queued_at as Micros, text(started_at)))
}
