import type { Event } from '../core/event.ts'
import type { SenderClocks } from '../core/sender-clocks.ts'
import { type Micros, toMs } from '../core/time.ts'
import type { TransactionSql } from './connect.ts'
import { isDue, type Opening } from './deliveries.ts'
import type { SharedClocks } from './sender-clocks.ts'

/**
 * Maximum ranges of numbers kept of one spool: more than a sidecar's batches that overtake each other leave
 * open for a time (half of `aheadEvents` in spool/lanes.ts). Every batch writes them all again: an
 * event takes 5 ms to store where there is one range, 18 ms with these, and took 170 ms with 25,000 (two busy cores).
 * Beyond it only numbers are noted that lie next to known ones; the others stay gaps.
 */
const maxRanges = 2500

/** Numbers of a spool that came with one event before, and now with another. */
export type ReusedNumbers = {
  source: string
  epoch: string
  /** How many there are. */
  count: number
  /** The first 20 ranges of them. */
  numbers: { from: number; to: number }[]
}

/**
 * Notes the numbers received from each spool. Repeats count too: received is not the same as new.
 *
 * @param isNew for each event true when it was stored now. Its number must be new as well: one that
 * came before was given to two events, by a spool whose folder went back in time.
 * @returns those numbers, of each spool that has any in this batch; and the openings whose delivery is due
 * to be noted, see deliveries.ts
 */
export async function upsertSources(
  tx: TransactionSql,
  events: readonly Event[],
  isNew: readonly boolean[],
  known: SharedClocks,
): Promise<{ reused: ReusedNumbers[]; due: Opening[] }> {
  const batches = toBatches(events, isNew, known.clocks)
  await known.exchange(tx, [...new Set(batches.map(({ source }) => source.id))].sort(order))
  const rows = batches.map((batch) => toSourceRow(batch, known.clocks))
  if (rows.length === 0) return { reused: [], due: [] }
  // The numbers of new events of this batch. A spool's row is locked when this is read.
  const fresh = tx`(select g.fresh from given g where g.source_id = s.source_id and g.epoch = s.epoch)`
  const again = tx`(excluded.reused + s.received * ${fresh})`
  const told = await tx<(ReusedNumbers & { isDue: boolean; isReused: boolean })[]>`
    /* ingest.upsertSources */
    with given as materialized (
      select * from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (source_id text,
        epoch text, received int8multirange, fresh int8multirange, twice int8multirange,
        last_at timestamptz, last_received_at timestamptz, clock_offset_s float8, clock_of text)),
    noted as (insert into source as s
      (source_id, epoch, received, last_at, last_received_at, lag_s, clock_offset_s, clock_of,
        reused, reused_at)
    select r.source_id, r.epoch, r.received, r.last_at, r.last_received_at,
      extract(epoch from clock_timestamp() - r.last_received_at)::float8, r.clock_offset_s, r.clock_of,
      r.twice,
      case when not isempty(r.twice) then now() end
    from given r
    order by 1, 2
    on conflict (source_id, epoch) do update set
      received = s.received + case
        when (select count(*) from unnest(s.received)) < ${maxRanges} then excluded.received
        else (select coalesce(range_agg(r), '{}') from unnest(excluded.received) r
          where int8range(lower(r) - 1, upper(r) + 1) && s.received) end,
      reused = case when (select count(*) from unnest(s.reused)) < ${maxRanges}
        then s.reused + ${again} else s.reused end,
      reused_at = case when isempty(${again}) then s.reused_at else now() end,
      last_at = greatest(s.last_at, excluded.last_at),
      last_received_at = greatest(s.last_received_at, excluded.last_received_at),
      last_stored_at = now(), lag_s = excluded.lag_s, clock_offset_s = excluded.clock_offset_s,
      clock_of = excluded.clock_of
    returning source_id, epoch, reused_at, reused * ${fresh} as numbers),
    told as (select n.*, reused_at = now() and not isempty(numbers) as is_reused, ${isDue(tx)} as is_due from noted n)
    select source_id as source, epoch, is_due,
      (select sum(upper(r) - lower(r)) from unnest(numbers) r)::int8 as count,
      (select jsonb_agg(jsonb_build_object('from', lower(r), 'to', upper(r) - 1))
        from (select r from unnest(numbers) r limit 20) r) as numbers, is_reused
    from told where is_reused or is_due order by 1, 2`
  return {
    reused: told.flatMap(({ isReused, isDue, ...one }) => (isReused ? [one] : [])),
    due: told.filter(({ isDue }) => isDue).map(({ source, epoch }) => ({ source, epoch })),
  }
}

/** A row for the table `source`: the state of one sidecar's spool after a batch. */
type SourceRow = {
  source_id: string
  epoch: string
  /** The numbers received, as an int8multirange. */
  received: string
  /** Those of events that were new. */
  fresh: string
  /** Those of two new events of this batch. */
  twice: string
  last_at: Micros
  last_received_at: Micros
  clock_offset_s: number
  clock_of: string | null
}

/** The part of a batch that came from one spool. */
type Batch = {
  source: NonNullable<Event['source']>
  newest: Event
  numbers: number[]
  fresh: Set<number>
  twice: number[]
}

/** What came from each spool, in the order of the table's key; its clocks are noted. */
function toBatches(
  events: readonly Event[],
  isNew: readonly boolean[],
  known: SenderClocks,
): Batch[] {
  const bySource = new Map<string, Batch>()
  for (const [index, event] of events.entries()) {
    const { source } = event
    if (!source) continue
    const name = JSON.stringify([source.id, source.epoch])
    let batch = bySource.get(name)
    if (!batch) {
      batch = { source, newest: event, numbers: [], fresh: new Set(), twice: [] }
      bySource.set(name, batch)
    }
    batch.numbers.push(source.seq)
    noteClock(event, source.id, known)
    if (event.received_at > batch.newest.received_at) batch.newest = event
    if (!isNew[index]) continue
    if (batch.fresh.has(source.seq)) batch.twice.push(source.seq)
    batch.fresh.add(source.seq)
  }
  return [...bySource.values()].sort(
    ({ source: a }, { source: b }) => order(a.id, b.id) || order(a.epoch, b.epoch),
  )
}

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

/** The times of replayed history have nothing to do with a clock. */
function noteClock(
  { event, received_at, historical, app }: Event,
  id: string,
  known: SenderClocks,
) {
  if (historical) return
  const receivedMs = toMs(received_at)
  const ahead = toMs(event.reported_at ?? event.at) - receivedMs
  known.note(id, app.name, receivedMs / 1000, ahead / 1000)
}

function toSourceRow(
  { source, newest, numbers, fresh, twice }: Batch,
  known: SenderClocks,
): SourceRow {
  const { offset, name } = known.worst(source.id)
  return {
    source_id: source.id,
    epoch: source.epoch,
    received: toMultirange(numbers),
    fresh: toMultirange([...fresh]),
    twice: toMultirange(twice),
    last_at: newest.event.at,
    last_received_at: newest.received_at,
    clock_offset_s: offset,
    clock_of: name,
  }
}

/** `{[1,501),[600,601)}`: the numbers as a multirange. */
function toMultirange(numbers: readonly number[]): string {
  const ranges: [from: number, to: number][] = []
  for (const n of [...new Set(numbers)].sort((a, b) => a - b)) {
    const last = ranges.at(-1)
    if (last?.[1] === n) last[1] = n + 1
    else ranges.push([n, n + 1])
  }
  return `{${ranges.map(([from, to]) => `[${from},${to})`).join(',')}}`
}
