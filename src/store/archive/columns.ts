/*
 * The columns of the archive, in their fixed order. A later schema may add at the end; what is here
 * keeps its name and its type for as long as files do.
 */

export const archiveKinds = ['event', 'job', 'subjob'] as const
export type ArchiveKind = (typeof archiveKinds)[number]

/** `time` is microseconds since 1970, `id` and `json` are text. */
export type ArchiveType = 'time' | 'id' | 'text' | 'json' | 'int' | 'float' | 'bool'
export type ArchiveColumn = { name: string; type: ArchiveType; sql: string }
/** Values in the order of the columns; null is null. */
export type ArchiveRow = (string | number | bigint | boolean | null)[]

type Given = [name: string, type: ArchiveType, sql?: string]

/** Asks for the values as the driver hands them over, with no parsing that the writer would undo. */
function column([name, type, sql = name]: Given): ArchiveColumn {
  if (type === 'time') return { name, type, sql: `(extract(epoch from ${sql}) * 1000000)::int8` }
  return { name, type, sql: type === 'id' || type === 'json' ? `(${sql})::text` : sql }
}

const knownMetric = (name: string): Given => [
  name,
  'float',
  `case jsonb_typeof(metrics -> '${name}') when 'number' then (metrics ->> '${name}')::float8 end`,
]

const eventColumns = (
  [
    ['at', 'time'],
    ['idempotency_key', 'id'],
    ['received_at', 'time'],
    ['stored_at', 'time'],
    ['entity_type', 'text', `case entity_type when 'j' then 'job' else 'subjob' end`],
    ['entity_id', 'id'],
    ['parent_id', 'id'],
    ['app_id', 'id'],
    ['app_name', 'text'],
    ['app_version', 'text'],
    ['site_id', 'text'],
    ['business_key', 'text'],
    ['sub_key', 'text'],
    ['kind', 'text'],
    ['status', 'text'],
    ['started_at', 'time'],
    ['ended_at', 'time'],
    knownMetric('duration_s'),
    knownMetric('cpu_user_s'),
    knownMetric('cpu_system_s'),
    knownMetric('mem_max_mb'),
    knownMetric('progress'),
    ['metrics', 'json'],
    ['metadata', 'json'],
    ['traceparent', 'text'],
    ['source_id', 'text'],
    ['source_epoch', 'text'],
    ['source_seq', 'int'],
    ['historical', 'bool'],
    ['extra', 'json'],
  ] satisfies Given[]
).map(column)

/** Metrics without the slots of the fold; metadata overlaid, the latest on top, as the API does. */
const jobColumns = (ids: Given[]) =>
  [
    ['ended_at', 'time'] satisfies Given,
    ...ids,
    ...([
      ['app_id', 'id'],
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
      ['metrics', 'json', '(select jsonb_object_agg(key, value -> 1) from jsonb_each(metrics))'],
      [
        'metadata',
        'json',
        `coalesce(queue_metadata, '{}') || coalesce(start_metadata, '{}')
           || coalesce(progress_metadata, '{}') || coalesce(end_metadata, '{}')`,
      ],
      ['error_count', 'int'],
      ['last_error', 'text'],
      ['last_event_at', 'time'],
      ['event_count', 'int'],
      ['inserted_at', 'time'],
      ['updated_at', 'time'],
      ['attempt', 'int'],
      ['queued_at', 'time'],
      ['attempts', 'json'],
    ] satisfies Given[]),
  ].map(column)

export const archiveColumns: Readonly<Record<ArchiveKind, readonly ArchiveColumn[]>> = {
  event: eventColumns,
  job: jobColumns([
    ['job_id', 'id'],
    ['parent_id', 'id'],
  ]),
  subjob: jobColumns([
    ['subjob_id', 'id'],
    ['job_id', 'id', 'parent_id'],
  ]),
}

/** The column whose value decides to which hour a row belongs. */
export const timeColumn = (kind: ArchiveKind) => (kind === 'event' ? 'at' : 'ended_at')
