import type { Logger } from 'pino'
import type { LiveBatch, LiveEvent, LiveFeed } from '../core/live.ts'
import type { Micros } from '../core/time.ts'
import { sleep } from '../platform/backoff.ts'
import type { Store } from './connect.ts'
import { type EventRow, eventColumns, eventOf } from './events.ts'

/*
 * What is committed, in the order in which it was, for readers that stay. What must stay true:
 *
 * - Positions are numbered under a lock as the last statement of their transaction, so whoever has
 *   seen position p has seen everything below it. A serial column would not do: it skipped 1,900
 *   of 5,700 rows in a test.
 * - A reader's id is `pos-n`, the position and the event's place within it, both from the database:
 *   it means the same on every replica and in the middle of a batch.
 * - A notification is only a hint. What counts is the table, asked once a second in any case.
 * - One question serves all readers of a process. A reader that falls behind is cut off; it comes
 *   back with its last id, and catches up from the table.
 */

type Options = {
  signal: AbortSignal
  log: Logger /** Between two looks, in milliseconds. */
  everyMs?: number
}

type Batch = { pos: number; batch: number; atMin: Micros; atMax: Micros }

/** Most batches that one reader may be behind in memory, and most that are read at once. */
const maxQueued = 200
const page = 50

const op = { operation: 'followLive', table: 'live_batch' }

class Reader {
  readonly #queue: (readonly LiveEvent[])[] = []
  #wake = () => {}
  #overrun = false

  push(events: readonly LiveEvent[]): void {
    if (this.#queue.length >= maxQueued) this.#overrun = true
    else this.#queue.push(events)
    this.#wake()
  }

  /** The next batch; undefined once the signal aborted. @throws when the reader fell behind */
  async next(signal: AbortSignal): Promise<readonly LiveEvent[] | undefined> {
    while (!signal.aborted) {
      if (this.#overrun) throw new Error('the reader is too slow')
      const events = this.#queue.shift()
      if (events) return events
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
    return undefined
  }
}

/** Follows the store's live positions until the signal aborts. */
export function liveFeed(store: Store, { signal, log, everyMs = 1000 }: Options): LiveFeed {
  const readers = new Set<Reader>()
  let seen: number | undefined
  let hint = new AbortController()

  async function look(): Promise<void> {
    seen ??= await newestPosition(store)
    for (;;) {
      const batches = await batchesAfter(store, seen)
      for (const batch of batches) {
        // Nobody listens: the positions still count, so that who comes next begins at the end.
        const events = readers.size > 0 ? await eventsOf(store, batch) : []
        seen = batch.pos
        if (events.length > 0) for (const reader of readers) reader.push(events)
      }
      if (batches.length < page) return
    }
  }

  async function follow(): Promise<void> {
    while (!signal.aborted) {
      hint = new AbortController()
      await look().catch((error: unknown) => {
        if (!signal.aborted) log.debug({ error }, 'live positions cannot be read')
      })
      await sleep(everyMs, AbortSignal.any([signal, hint.signal]))
    }
  }

  async function listen(): Promise<void> {
    while (!signal.aborted) {
      try {
        await store.sql.listen('live', () => hint.abort())
        return
      } catch {
        await sleep(everyMs, signal)
      }
    }
  }
  void follow()
  void listen()

  /** From the table, up to where the feed stands; then joins it in the same turn. */
  async function* catchUp(from: Place, reader: Reader): AsyncGenerator<readonly LiveEvent[]> {
    let { pos, n } = from
    const rest = await batchAt(store, pos)
    if (rest) yield (await eventsOf(store, rest)).slice(n)
    for (;;) {
      const batches = await batchesAfter(store, pos)
      for (const batch of batches) {
        if (seen !== undefined && batch.pos > seen) break
        yield await eventsOf(store, batch)
        pos = batch.pos
        n = 0
      }
      if (seen !== undefined && pos >= seen) break
      if (batches.length === 0) await sleep(20)
    }
    readers.add(reader)
  }

  async function* subscribe({
    after,
    signal: gone,
  }: {
    after?: string | undefined
    signal: AbortSignal
  }): AsyncGenerator<LiveBatch> {
    const either = AbortSignal.any([signal, gone])
    const reader = new Reader()
    try {
      const place = after === undefined ? undefined : await placeOf(store, after)
      if (after !== undefined && !place) yield 'reset'
      if (place) {
        for await (const events of catchUp(place, reader)) if (events.length > 0) yield events
      } else readers.add(reader)
      for (;;) {
        const events = await reader.next(either)
        if (!events) return
        yield events
      }
    } finally {
      readers.delete(reader)
    }
  }

  return { subscribe }
}

/** Where a reader stood: a position, and how many of its events the reader has. */
type Place = { pos: number; n: number }

/** @returns undefined when the id is none, or what came after it is no longer here */
async function placeOf(store: Store, id: string): Promise<Place | undefined> {
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

async function newestPosition(store: Store): Promise<number> {
  const [row] = await store.ask<{ pos: number }[]>(
    op,
    (sql) => sql`/* live.newest */ select coalesce(max(pos), 0) as pos from live_batch`,
  )
  return row!.pos
}

async function batchesAfter(store: Store, pos: number): Promise<Batch[]> {
  return store.ask<Batch[]>(
    op,
    (sql) => sql`
      /* live.after */
      select b.pos, b.batch, b.at_min, b.at_max from live_batch b
      where b.pos > ${pos} order by b.pos limit ${page}`,
  )
}

async function batchAt(store: Store, pos: number): Promise<Batch | undefined> {
  const [row] = await store.ask<Batch[]>(
    op,
    (sql) => sql`
      /* live.at */
      select b.pos, b.batch, b.at_min, b.at_max from live_batch b where b.pos = ${pos}`,
  )
  return row
}

async function eventsOf(store: Store, { pos, batch, atMin, atMax }: Batch): Promise<LiveEvent[]> {
  const rows = await store.ask<EventRow[]>({ operation: 'followLive', table: 'event' }, (sql) => {
    const of = (table: string) => sql`
      select ${eventColumns(sql)} from ${sql(table)}
      where batch = ${batch} and at between ${atMin} and ${atMax} and not historical`
    return sql`
      /* live.events */
      ${of('event')} union all ${of('event_late')} order by at, idempotency_key`
  })
  return rows.map((row, index) => ({ id: `${pos}-${index + 1}`, event: eventOf(row) }))
}
