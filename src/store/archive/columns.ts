/*
 * The columns of the archive, in their fixed order. A later schema may add at the end; what is here
 * keeps its name, its type and its number (the field id in the files) for as long as files do.
 */

export const archiveKinds = ['event', 'job', 'subjob'] as const
export type ArchiveKind = (typeof archiveKinds)[number]

/** `time` is microseconds since 1970, `id` and `json` are text. */
export type ArchiveType = 'time' | 'id' | 'text' | 'json' | 'int' | 'float' | 'bool'
export type ArchiveColumn = { fieldId: number; name: string; type: ArchiveType; sql: string }
/** Values in the order of the columns; null is null. */
export type ArchiveRow = (string | number | bigint | boolean | null)[]

type Given = [fieldId: number, name: string, type: ArchiveType, sql?: string]

/** Asks for the values as the driver hands them over, with no parsing that the writer would undo. */
function column([fieldId, name, type, sql = name]: Given): ArchiveColumn {
  const asked =
    type === 'time'
      ? `(extract(epoch from ${sql}) * 1000000)::int8`
      : type === 'id' || type === 'json'
        ? `(${sql})::text`
        : sql
  return { fieldId, name, type, sql: asked }
}

const knownMetric = (fieldId: number, name: string): Given => [
  fieldId,
  name,
  'float',
  `case jsonb_typeof(metrics -> '${name}') when 'number' then (metrics ->> '${name}')::float8 end`,
]

const eventColumns = (
  [
    // "at" is a reserved word in DuckDB.
    [1, 'event_at', 'time', 'at'],
    [2, 'idempotency_key', 'id'],
    [3, 'received_at', 'time'],
    [4, 'stored_at', 'time'],
    [5, 'entity_type', 'text', `case entity_type when 'j' then 'job' else 'subjob' end`],
    [6, 'entity_id', 'id'],
    [7, 'parent_id', 'id'],
    [8, 'app_id', 'id'],
    [9, 'app_name', 'text'],
    [10, 'app_version', 'text'],
    [11, 'site_id', 'text'],
    [12, 'business_key', 'text'],
    [13, 'sub_key', 'text'],
    [14, 'kind', 'text'],
    [15, 'status', 'text'],
    [16, 'started_at', 'time'],
    [17, 'ended_at', 'time'],
    knownMetric(18, 'duration_s'),
    knownMetric(19, 'cpu_user_s'),
    knownMetric(20, 'cpu_system_s'),
    knownMetric(21, 'mem_max_mb'),
    knownMetric(22, 'progress'),
    [23, 'metrics', 'json'],
    [24, 'metadata', 'json'],
    [25, 'traceparent', 'text'],
    [26, 'source_id', 'text'],
    [27, 'source_epoch', 'text'],
    [28, 'source_seq', 'int'],
    [29, 'historical', 'bool'],
    [30, 'extra', 'json'],
  ] satisfies Given[]
).map(column)

/** Metrics without the slots of the fold; metadata overlaid, the latest on top, as the API does. */
const jobColumns = (ids: Given[]) =>
  [
    [1, 'ended_at', 'time'] satisfies Given,
    ...ids,
    ...([
      [4, 'app_id', 'id'],
      [5, 'app_name', 'text'],
      [6, 'app_version', 'text'],
      [7, 'site_id', 'text'],
      [8, 'job_key', 'text'],
      [9, 'sub_key', 'text'],
      [10, 'status', 'text'],
      [11, 'started_at', 'time'],
      [12, 'duration_s', 'float'],
      [13, 'cpu_user_s', 'float'],
      [14, 'cpu_system_s', 'float'],
      [15, 'mem_max_mb', 'float'],
      [16, 'progress', 'float'],
      [
        17,
        'metrics',
        'json',
        '(select jsonb_object_agg(key, value -> 1) from jsonb_each(metrics))',
      ],
      [
        18,
        'metadata',
        'json',
        `coalesce(queue_metadata, '{}') || coalesce(start_metadata, '{}')
           || coalesce(progress_metadata, '{}') || coalesce(end_metadata, '{}')`,
      ],
      [19, 'error_count', 'int'],
      [20, 'last_error', 'text'],
      [21, 'last_event_at', 'time'],
      [22, 'event_count', 'int'],
      [23, 'inserted_at', 'time'],
      [24, 'updated_at', 'time'],
      [25, 'attempt', 'int'],
      [26, 'queued_at', 'time'],
      [27, 'attempts', 'json'],
      // 1 for the first archived state of a job, one more for each that follows.
      [28, 'version', 'int'],
      // In a day that the job has left: where it lies now. Such a row has no other values than its ids.
      [29, 'moved_to', 'text'],
      [30, 'last_queued_at', 'time'],
      // Of all attempts: from then on there may be events of it.
      [
        31,
        'first_event_at',
        'time',
        `least(first_event_at, (select min((value ->> 'first_event_at')::timestamptz) from jsonb_each(attempts)))`,
      ],
    ] satisfies Given[]),
  ].map(column)

export const archiveColumns: Readonly<Record<ArchiveKind, readonly ArchiveColumn[]>> = {
  event: eventColumns,
  job: jobColumns([
    [2, 'job_id', 'id'],
    [3, 'parent_id', 'id'],
  ]),
  subjob: jobColumns([
    [2, 'subjob_id', 'id'],
    [3, 'job_id', 'id', 'parent_id'],
  ]),
}

/**
 * The column of times: of each event the one by which it belongs to its day, of each job its end, which one that never
 * ended or has left the day does not have.
 */
export const timeColumn = (kind: ArchiveKind) => (kind === 'event' ? 'event_at' : 'ended_at')
