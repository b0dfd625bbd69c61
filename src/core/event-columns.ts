import type { Refusal } from './delivery.ts'
import type { Event } from './event.ts'
import { eventId } from './event-id.ts'
import { checkTree } from './json.ts'

/*
 * An event as a row, for destinations that have columns: files of CSV, and the documents of
 * Elasticsearch and OpenSearch. The names of the first eighteen are those of the system that wafermon
 * replaces; readers exist that depend on them and on their order.
 */

type Column = { name: string; about: string; read: (event: Event) => unknown }

const metric = (name: string, about: string): Column => ({
  ...{ name, about },
  read: ({ event }) => event?.metrics?.[name],
})

/** The columns of the earlier system, in its order, but for its last one: metadata. */
const rowColumns: readonly Column[] = [
  {
    name: 'timestamp',
    about: "Time of the event by the sender's clock, UTC with microseconds: `event.at`.",
    read: ({ event }) => event?.at,
  },
  {
    name: 'idempotency_key',
    about: 'Key of the event; with `timestamp` it is its identity.',
    read: (event) => event.idempotency_key,
  },
  { name: 'site_id', about: 'The site.', read: ({ site_id }) => site_id },
  { name: 'app_id', about: 'Id of the app: `app.app_id`.', read: ({ app }) => app?.app_id },
  { name: 'app_name', about: 'Name of the app: `app.name`.', read: ({ app }) => app?.name },
  { name: 'app_version', about: 'Its version: `app.version`.', read: ({ app }) => app?.version },
  { name: 'entity_type', about: '`job` or `subjob`.', read: ({ entity }) => entity?.type },
  { name: 'entity_id', about: 'Id of the job or subjob.', read: ({ entity }) => entity?.id },
  {
    name: 'parent_id',
    about: 'Id of the job that a subjob belongs to.',
    read: ({ entity }) => entity?.parent_id,
  },
  {
    name: 'business_key',
    about: 'Usually the lot: `entity.business_key`.',
    read: ({ entity }) => entity?.business_key,
  },
  {
    name: 'sub_key',
    about: 'Usually the wafer or step: `entity.sub_key`.',
    read: ({ entity }) => entity?.sub_key,
  },
  {
    name: 'event_kind',
    about: 'Kind of the event: `event.kind`.',
    read: ({ event }) => event?.kind,
  },
  {
    name: 'status',
    about: 'The status that the event gives; empty when it gives none.',
    read: ({ event }) => event?.status,
  },
  metric('duration_s', 'Duration in seconds.'),
  metric('cpu_user_s', 'CPU time of the program in seconds.'),
  metric('cpu_system_s', 'CPU time of the system in seconds.'),
  metric('mem_max_mb', 'Peak memory in MiB.'),
]

const metadata: Column = {
  name: 'metadata_json',
  about: '`event.metadata` as JSON.',
  read: ({ event }) => event?.metadata,
}

const sourceSeq: Column = {
  name: 'source_seq',
  about: 'Number that the first spool gave to the event: with the site, a repeat is known by it.',
  read: ({ source }) => source?.seq,
}

/** The columns of a file of CSV. */
export const csvColumns: readonly Column[] = [...rowColumns, metadata, sourceSeq]

/** The fields of a document: the columns by the same names, and what a document can hold besides. */
export const documentFields: readonly Column[] = [
  {
    name: '@timestamp',
    about:
      'The same as `timestamp`, under the name that Kibana and OpenSearch Dashboards look for.',
    read: ({ event }) => event?.at,
  },
  ...rowColumns,
  { name: 'progress', about: 'Progress, 0 to 1.', read: ({ event }) => event?.metrics?.progress },
  {
    name: 'metrics',
    about: '`event.metrics`, all of them; names are searched, numbers as text.',
    read: ({ event }) => event?.metrics,
  },
  {
    name: 'metadata',
    about: '`event.metadata`; every value is searched as text.',
    read: ({ event }) => event?.metadata,
  },
  {
    name: 'attempt',
    about: 'Which try of the job this is.',
    read: ({ entity }) => entity?.attempt,
  },
  { name: 'started_at', about: 'Start of the job.', read: ({ event }) => event?.started_at },
  { name: 'ended_at', about: 'End of the job.', read: ({ event }) => event?.ended_at },
  {
    name: 'received_at',
    about: 'Time of arrival at the first hop.',
    read: ({ received_at }) => received_at,
  },
  { name: 'source_id', about: 'The first spool.', read: ({ source }) => source?.id },
  {
    name: 'source_epoch',
    about: 'Since which creation of that spool its numbers count.',
    read: ({ source }) => source?.epoch,
  },
  sourceSeq,
  { name: 'traceparent', about: 'Trace of the sender.', read: ({ traceparent }) => traceparent },
  {
    name: 'historical',
    about: 'True for what was replayed or filled in later.',
    read: ({ historical }) => historical,
  },
]

/** The values of an event for these columns. */
export const toRow = (event: Event, columns: readonly Column[]): unknown[] =>
  columns.map(({ read }) => read(event))

/** The fields of an event that have a value. */
export function toDocument(event: Event): Record<string, unknown> {
  const document: Record<string, unknown> = {}
  for (const { name, read } of documentFields) {
    const value = read(event)
    if (value !== undefined && value !== null) document[name] = value
  }
  return document
}

/** An event as one line of JSON: `event_id`, which is its identity, and the fields of a document. */
export const toLogLine = (event: Event): string =>
  JSON.stringify({ event_id: eventId(event), ...toDocument(event) })

/** The wire allows 32 levels within an event. */
const maxDepth = 34

/**
 * Why no destination that stores text or JSON could take this event: it is not JSON, a number in it is
 * not finite, a text has a NUL character or half of a surrogate pair. The door refuses such events, so
 * this is one from a damaged disk or an older version.
 */
export function findUnfit(event: Event | undefined): Refusal | undefined {
  if (event === undefined) return { field: '', detail: 'is not JSON: damaged on disk' }
  return checkTree(event, maxDepth)
}
