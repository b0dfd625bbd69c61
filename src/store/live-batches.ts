import type { LiveEvent } from '../core/live.ts'
import type { Micros } from '../core/time.ts'
import type { Store } from './connect.ts'
import { type EventRow, eventColumnsSql, eventFromRow } from './events.ts'

/* The questions of the live feed to the table of positions. */

/** The events of one ingest transaction: `n`, from `atMin` to `atMax`. */
export type Batch = { pos: number; batch: number; n: number; atMin: Micros; atMax: Micros }

/** Maximum batches of one read. */
export const page = 50

const op = { operation: 'followLive', table: 'live_batch' }

/** A subscriber's place: a position, and how many of its events it has. */
export type Place = { pos: number; n: number }

/** @returns undefined when the id is malformed, or the events after it are gone */
export async function findPlace(store: Store, id: string): Promise<Place | undefined> {
  const match = /^(\d{1,15})-(\d{1,9})$/.exec(id)
  if (!match) return undefined
  const [pos, n] = [Number(match[1]), Number(match[2])]
  const [range] = await store.ask<{ oldest: number | null; newest: number | null }[]>(
    op,
    (sql) => sql`/* live.range */ select min(pos) as oldest, max(pos) as newest from live_batch`,
  )
  if (!range || range.oldest === null || range.newest === null) return undefined
  return pos >= range.oldest && pos <= range.newest ? { pos, n } : undefined
}

/** After the newest event; position 0 before the first one. */
export async function newestPlace(store: Store): Promise<Place> {
  const [row] = await store.ask<Place[]>(
    op,
    (sql) => sql`/* live.newest */ select pos, n from live_batch order by pos desc limit 1`,
  )
  return row ?? { pos: 0, n: 0 }
}

/** The id of the last event of a place. */
export const placeId = ({ pos, n }: Place): string => `${pos}-${n}`

/** The next batches, and the oldest position that was there when they were read. */
export async function batchesAfter(store: Store, pos: number) {
  const batches = await store.ask<(Batch & { oldest: number })[]>(
    op,
    (sql) => sql`
      /* live.after */
      select b.pos, b.batch, b.n, b.at_min, b.at_max, (select min(pos) from live_batch) as oldest
      from live_batch b where b.pos > ${pos} order by b.pos limit ${page}`,
  )
  return { batches, oldest: batches[0]?.oldest ?? 0 }
}

export async function batchAt(store: Store, pos: number): Promise<Batch | undefined> {
  const [row] = await store.ask<Batch[]>(
    op,
    (sql) => sql`
      /* live.at */
      select b.pos, b.batch, b.n, b.at_min, b.at_max from live_batch b where b.pos = ${pos}`,
  )
  return row
}

export async function readEvents(
  store: Store,
  { pos, batch, atMin, atMax }: Batch,
): Promise<LiveEvent[]> {
  const rows = await store.ask<EventRow[]>({ operation: 'followLive', table: 'event' }, (sql) => {
    const of = (table: string) => sql`
      select ${eventColumnsSql(sql)} from ${sql(table)}
      where batch = ${batch} and at between ${atMin} and ${atMax} and not historical`
    return sql`
      /* live.events */
      ${of('event')} union all ${of('event_late')} order by at, idempotency_key`
  })
  return rows.map((row, index) => ({ id: `${pos}-${index + 1}`, event: eventFromRow(row) }))
}
