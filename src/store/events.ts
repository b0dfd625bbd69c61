import { measureJson } from '../core/answer-size.ts'
import type { EventFilter, EventPage, StoredEvent } from '../core/job.ts'
import type { Micros } from '../core/time.ts'
import type { Store } from './connect.ts'
import type { Sql } from './driver.ts'
import { Page, readPage } from './page.ts'

type Extra = { [part in 'top' | 'app' | 'entity' | 'event' | 'source']?: Record<string, unknown> }

/** A row of `event` or `event_late` as {@link eventColumnsSql} selects it. */
export type EventRow = {
  at: Micros
  idempotencyKey: string
  receivedAt: Micros
  entityType: string
  entityId: string
  parentId: string | null
  appId: string
  appName: string
  appVersion: string
  siteId: string
  businessKey: string | null
  subKey: string | null
  kind: string
  status: string | null
  startedAt: Micros | null
  endedAt: Micros | null
  metrics: object | null
  metadata: object | null
  traceparent: string | null
  sourceId: string | null
  sourceEpoch: string | null
  sourceSeq: number | null
  historical: boolean
  extra: Extra | null
}

export const eventColumnsSql = (sql: Sql) => sql`
  at, idempotency_key, received_at, entity_type, entity_id, parent_id, app_id, app_name, app_version,
  site_id, business_key, sub_key, kind, status, started_at, ended_at, metrics, metadata, traceparent,
  source_id, source_epoch, source_seq, historical, extra`

/** The envelope as it was received, unknown fields included; null is left out. */
export function eventFromRow(row: EventRow): StoredEvent {
  const { extra } = row
  return {
    idempotency_key: row.idempotencyKey,
    site_id: row.siteId,
    app: { app_id: row.appId, name: row.appName, version: row.appVersion, ...extra?.app },
    entity: {
      type: row.entityType === 'j' ? 'job' : 'subjob',
      id: row.entityId,
      ...given({ parent_id: row.parentId, business_key: row.businessKey, sub_key: row.subKey }),
      ...extra?.entity,
    },
    event: {
      kind: row.kind,
      at: row.at,
      ...given({
        status: row.status,
        metrics: row.metrics,
        metadata: row.metadata,
        started_at: row.startedAt,
        ended_at: row.endedAt,
      }),
      ...extra?.event,
    },
    ...given({ traceparent: row.traceparent, source: sourceOf(row) }),
    received_at: row.receivedAt,
    ...(row.historical ? { historical: true } : {}),
    ...extra?.top,
  }
}

const sourceOf = (row: EventRow) =>
  row.sourceId === null
    ? null
    : { id: row.sourceId, epoch: row.sourceEpoch, seq: row.sourceSeq, ...row.extra?.source }

function given(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))
}

/**
 * Events of a job or subjob by time, ties by key, at most `limit`, and no more than fit into a page.
 * Raw events are dropped once they are archived, so an old job has no events here.
 */
export async function findEvents(
  store: Store,
  id: string,
  { order, kinds, status, limit, after }: EventFilter,
  signal: AbortSignal,
): Promise<EventPage> {
  const range = await eventRange(store, id, signal)
  const { items, more } = await readPage(
    store,
    { operation: 'findEvents', table: 'event' },
    (sql) => {
      // The bounds keep the planner away from all the other partitions.
      const within = range ? sql`and at between ${range.first} and ${range.last}` : sql``
      const way = order === 'desc' ? sql`desc` : sql`asc`
      const behind = order === 'desc' ? sql`<` : sql`>`
      const rest = after
        ? sql`and (at, idempotency_key) ${behind} (${after.at}, ${after.key})`
        : sql``
      const ofKinds = kinds ? sql`and kind = any(${[...kinds]})` : sql``
      const ofStatus = status ? sql`and ${statusSql(sql)} = any(${[...status]})` : sql``
      const ordered = sql`order by at ${way}, idempotency_key ${way} limit ${limit + 1}`
      const of = (table: string) => sql`
        (select ${eventColumnsSql(sql)} from ${sql(table)}
         where entity_id = ${id} ${within} ${rest} ${ofKinds} ${ofStatus} ${ordered})`
      return sql<EventRow[]>`
        /* events.find */
        ${of('event')} union all ${of('event_late')} ${ordered}`
    },
    new Page({ limit, toItem: (row: EventRow) => row, sizeOf: measureJson }),
    signal,
  )
  const last = more ? items.at(-1) : undefined
  return {
    items: items.map(eventFromRow),
    next: last ? { at: last.at, key: last.idempotencyKey } : null,
  }
}

/** The state that an event reports, or implies by its kind; see wire.md, section 2. */
const statusSql = (sql: Sql) => sql`
  coalesce(status, case kind when 'finished' then 'succeeded' when 'canceled' then 'canceled'
    when 'queued' then 'queued' else 'running' end)`

/**
 * The times of a job's first and last event; undefined when there is no such job, and of one with several
 * attempts, of which the row shows those of the latest.
 */
async function eventRange(store: Store, id: string, signal: AbortSignal) {
  const [range] = await store.ask<{ first: Micros; last: Micros }[]>(
    { operation: 'eventRange', table: 'job' },
    (sql) => sql`
      /* events.range */
      select min(first_event_at) as first, max(last_event_at) as last from (
        select first_event_at, last_event_at, attempt from job where job_id = ${id}
        union all
        select first_event_at, last_event_at, attempt from subjob where subjob_id = ${id}) found
      having count(*) > 0 and max(attempt) = 1`,
    signal,
  )
  return range
}
