import type { Column, ColumnType } from './parquet.ts'

/**
 * The columns of the archive, in their fixed order. A later schema may add at the end; what stands
 * here keeps its name and its type for as long as files do.
 */
export const schemaVersion = '1'

const columns = (list: [name: string, type: ColumnType][]): Column[] =>
  list.map(([name, type]) => ({ name, type }))

/** Ids and JSON are text: parquet-wasm drops the logical types, and readers would see bytes. */
export const eventColumns = columns([
  ['at', 'time'],
  ['idempotency_key', 'text'],
  ['received_at', 'time'],
  ['stored_at', 'time'],
  ['entity_type', 'text'],
  ['entity_id', 'text'],
  ['parent_id', 'text'],
  ['app_id', 'text'],
  ['app_name', 'text'],
  ['app_version', 'text'],
  ['site_id', 'text'],
  ['business_key', 'text'],
  ['sub_key', 'text'],
  ['kind', 'text'],
  ['status', 'text'],
  ['started_at', 'time'],
  ['ended_at', 'time'],
  ['metrics', 'text'],
  ['metadata', 'text'],
  ['traceparent', 'text'],
  ['source_id', 'text'],
  ['source_epoch', 'text'],
  ['source_seq', 'int'],
  ['historical', 'bool'],
  ['extra', 'text'],
])

export const jobColumns = columns([
  ['ended_at', 'time'],
  ['id', 'text'],
  ['parent_id', 'text'],
  ['app_id', 'text'],
  ['app_name', 'text'],
  ['app_version', 'text'],
  ['site_id', 'text'],
  ['job_key', 'text'],
  ['sub_key', 'text'],
  ['status', 'text'],
  ['started_at', 'time'],
  ['duration_s', 'float'],
  ['cpu_user_s', 'float'],
  ['cpu_system_s', 'float'],
  ['mem_max_mb', 'float'],
  ['progress', 'float'],
  ['metrics', 'text'],
  ['metadata', 'text'],
  ['error_count', 'int'],
  ['last_error', 'text'],
  ['last_event_at', 'time'],
  ['event_count', 'int'],
])
