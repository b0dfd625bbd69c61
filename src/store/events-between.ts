import type { StoredEvent } from '../core/job.ts'
import type { Micros } from '../core/time.ts'
import type { Store } from './connect.ts'
import type { Sql } from './driver.ts'
import { type EventRow, eventColumnsSql, eventFromRow } from './events.ts'

/** Events from a time on, and before another. */
export type Between = {
  from: Micros
  to: Micros
  kinds?: readonly string[] | undefined
  entities?: readonly ('job' | 'subjob')[] | undefined
  apps?: readonly string[] | undefined
  sites?: readonly string[] | undefined
}

/** Events of one page. */
const pageSize = 1000

/** Raw events before this time were dropped; `-infinity` while none were. */
export async function readDroppedBefore(store: Store): Promise<Micros> {
  const [row] = await store.ask<{ droppedBefore: Micros }[]>(
    { operation: 'readHorizon', table: 'horizon' },
    (sql) => sql`
      /* events.dropped */
      select dropped_before from horizon`,
  )
  return row?.droppedBefore ?? '-infinity'
}

/**
 * The raw events of a range by time, ties by key, as they were received, a page at a time. One that comes in behind
 * the place that is reached is not among them.
 *
 * @throws as {@link Store.ask}
 */
export async function* readEventsBetween(
  store: Store,
  range: Between,
  signal: AbortSignal,
): AsyncGenerator<StoredEvent[]> {
  let after: EventRow | undefined
  while (!signal.aborted) {
    const place = after
    const rows = await store.ask<EventRow[]>(
      { operation: 'eventsBetween', table: 'event' },
      (sql) => pageSql(sql, range, place),
      signal,
    )
    if (rows.length > 0) yield rows.map(eventFromRow)
    after = rows.at(-1)
    if (rows.length < pageSize) return
  }
}

function pageSql(sql: Sql, range: Between, after: EventRow | undefined) {
  const { from, to, kinds, entities, apps, sites } = range
  const isIn = (column: string, values: readonly string[] | undefined) =>
    values ? sql`and ${sql(column)} = any(${[...values]})` : sql``
  const letters = entities?.map((entity) => (entity === 'job' ? 'j' : 's'))
  const rest = after
    ? sql`and (at, idempotency_key) > (${after.at}, ${after.idempotencyKey})`
    : sql``
  const ordered = sql`order by at, idempotency_key limit ${pageSize}`
  // The lower bound of the time alone chooses partitions.
  const of = (table: string) => sql`
    (select ${eventColumnsSql(sql)} from ${sql(table)}
     where at >= ${after?.at ?? from} and at < ${to} ${rest} ${isIn('kind', kinds)}
       ${isIn('entity_type', letters)} ${isIn('app_name', apps)} ${isIn('site_id', sites)} ${ordered})`
  return sql<EventRow[]>`
    /* events.between */
    ${of('event')} union all ${of('event_late')} ${ordered}`
}
