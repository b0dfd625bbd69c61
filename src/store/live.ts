import type { Logger } from 'pino'
import type { LiveBatch, LiveEvent, LiveFeed } from '../core/live.ts'
import { must } from '../core/must.ts'
import type { Micros } from '../core/time.ts'
import { sleep } from '../platform/backoff.ts'
import type { Store } from './connect.ts'
import { type EventRow, eventColumnsSql, eventFromRow } from './events.ts'
import { LiveSubscriber } from './live-subscriber.ts'

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
 *   back with its last id, and catches up from the table, at its own pace.
 * - A reader may come from a replica that is ahead of this one: what it has is not sent again.
 * - What can no longer be told (trimmed, or its raw events dropped) is a `reset`, never silence.
 */

type Options = {
  signal: AbortSignal
  log: Logger
  /** Between two looks, in milliseconds. */
  everyMs?: number
}

type Batch = { pos: number; batch: number; n: number; atMin: Micros; atMax: Micros }

/** Batches that are read at once. */
const page = 50

const op = { operation: 'followLive', table: 'live_batch' }

/** Follows the store's live positions until the signal aborts. */
export function liveFeed(store: Store, { signal, log, everyMs = 1000 }: Options): LiveFeed {
  const readers = new Set<LiveSubscriber>()
  let seen: number | undefined
  let hint = new AbortController()

  async function look(): Promise<void> {
    seen ??= await newestPosition(store)
    for (;;) {
      const { batches } = await batchesAfter(store, seen)
      if (batches.length === 0) return stepBack()
      for (const batch of batches) {
        // Nobody listens: the positions still count, so that who comes next begins at the end.
        const events = readers.size > 0 ? await eventsOf(store, batch) : []
        seen = batch.pos
        if (events.length > 0) for (const reader of readers) reader.push(batch.pos, events)
      }
      if (batches.length < page) return
    }
  }

  /** A database that was restored, or failed over to an older copy, gives positions once more. */
  async function stepBack(): Promise<void> {
    const newest = await newestPosition(store)
    const last = must(seen, 'a look begins by reading the newest position')
    if (newest >= last) return
    log.warn({ from: last, to: newest }, 'live positions went back')
    seen = newest
    for (const reader of readers) reader.cut()
  }

  async function follow(): Promise<void> {
    while (!signal.aborted) {
      hint = new AbortController()
      await look().catch((error: unknown) => {
        if (!signal.aborted) log.debug({ error }, 'live positions cannot be read')
      })
      if (!signal.aborted) await sleep(everyMs, hint.signal)
    }
  }
  signal.addEventListener('abort', () => hint.abort(), { once: true })
  void follow()
  void store.listen('live', () => hint.abort(), signal)

  /** From the table, up to where the feed stands or beyond; then joins it in the same turn. */
  async function* catchUp(from: Place, reader: LiveSubscriber, either: AbortSignal) {
    let pos = from.pos
    const rest = await batchAt(store, pos)
    if (rest) yield* wholeOf(rest, await eventsOf(store, rest), from.n)
    while (!either.aborted) {
      const { batches, oldest } = await batchesAfter(store, pos)
      // What came behind the reader's place was trimmed while it was on its way.
      if (oldest > pos) yield 'reset' as const
      for (const batch of batches) {
        yield* wholeOf(batch, await eventsOf(store, batch))
        pos = batch.pos
      }
      if (pos >= must(seen, 'a reader subscribes after the first look')) break
      if (batches.length === 0) await sleep(20, either)
    }
    reader.from = pos
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
    const reader = new LiveSubscriber()
    try {
      // Before the first look nobody knows where the end is: what came until then would be skipped.
      while (seen === undefined && !either.aborted) await sleep(20, either)
      const place = after === undefined ? undefined : await placeOf(store, after)
      if (place) yield* catchUp(place, reader, either)
      else {
        readers.add(reader)
        if (after !== undefined) yield 'reset'
      }
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

/** A batch from the table behind its first `skip` events; raw events may be dropped by then. */
function* wholeOf(batch: Batch, events: readonly LiveEvent[], skip = 0): Generator<LiveBatch> {
  if (events.length < batch.n) yield 'reset'
  if (events.length > skip) yield events.slice(skip)
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
  return must(row, 'an aggregate answers one row').pos
}

/** The next batches, and the oldest position that was there when they were read. */
async function batchesAfter(store: Store, pos: number) {
  const batches = await store.ask<(Batch & { oldest: number })[]>(
    op,
    (sql) => sql`
      /* live.after */
      select b.pos, b.batch, b.n, b.at_min, b.at_max, (select min(pos) from live_batch) as oldest
      from live_batch b where b.pos > ${pos} order by b.pos limit ${page}`,
  )
  return { batches, oldest: batches[0]?.oldest ?? 0 }
}

async function batchAt(store: Store, pos: number): Promise<Batch | undefined> {
  const [row] = await store.ask<Batch[]>(
    op,
    (sql) => sql`
      /* live.at */
      select b.pos, b.batch, b.n, b.at_min, b.at_max from live_batch b where b.pos = ${pos}`,
  )
  return row
}

async function eventsOf(store: Store, { pos, batch, atMin, atMax }: Batch): Promise<LiveEvent[]> {
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
