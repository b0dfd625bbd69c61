import type { Event } from '../core/event.ts'
import { type Micros, secondsBetween } from '../core/time.ts'
import type { TransactionSql } from './connect.ts'

/**
 * Maximum ranges of numbers kept of one spool: more than batches that overtake each other leave open
 * for a time (half of `onTheWay` in sources.ts). Beyond it every batch would cost more than the one
 * before, so only numbers are noted that lie next to known ones; the others stay gaps.
 */
const maxRanges = 25_000

/** Notes the numbers received from each spool. Repeats count too: received is not the same as new. */
export async function upsertSources(tx: TransactionSql, events: readonly Event[]): Promise<void> {
  const rows = toSourceRows(events)
  if (rows.length === 0) return
  await tx`
    /* ingest.upsertSources */
    insert into source as s
      (source_id, epoch, received, last_at, last_received_at, lag_s, clock_offset_s)
    select r.source_id, r.epoch, r.received, r.last_at, r.last_received_at,
      extract(epoch from clock_timestamp() - r.last_received_at)::float8, r.clock_offset_s
    from json_to_recordset(${JSON.stringify(rows)}::text::json) as r (source_id text, epoch text,
      received int8multirange, last_at timestamptz, last_received_at timestamptz,
      clock_offset_s float8)
    order by 1, 2
    on conflict (source_id, epoch) do update set
      received = s.received + case
        when (select count(*) from unnest(s.received)) < ${maxRanges} then excluded.received
        else (select coalesce(range_agg(r), '{}') from unnest(excluded.received) r
          where int8range(lower(r) - 1, upper(r) + 1) && s.received) end,
      last_at = greatest(s.last_at, excluded.last_at),
      last_received_at = greatest(s.last_received_at, excluded.last_received_at),
      last_stored_at = now(), lag_s = excluded.lag_s, clock_offset_s = excluded.clock_offset_s`
}

/** A row for the table `source`: the state of one sidecar's spool after a batch. */
type SourceRow = {
  source_id: string
  epoch: string
  /** The numbers received, as an int8multirange. */
  received: string
  last_at: Micros
  last_received_at: Micros
  clock_offset_s: number
}

/** The part of a batch that came from one spool. */
type Batch = { source: NonNullable<Event['source']>; newest: Event; numbers: number[] }

/** A row per spool that events of the batch came from, in the order of the table's key. */
function toSourceRows(events: readonly Event[]): SourceRow[] {
  const bySource = new Map<string, Batch>()
  for (const event of events) {
    const { source } = event
    if (!source) continue
    const name = JSON.stringify([source.id, source.epoch])
    const known = bySource.get(name)
    if (!known) {
      bySource.set(name, { source, newest: event, numbers: [source.seq] })
      continue
    }
    known.numbers.push(source.seq)
    if (event.received_at > known.newest.received_at) known.newest = event
  }
  const rows = [...bySource.values()].map(toSourceRow)
  return rows.sort((a, b) => order(a.source_id, b.source_id) || order(a.epoch, b.epoch))
}

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

function toSourceRow({ source, newest, numbers }: Batch): SourceRow {
  const reported = newest.event.reported_at ?? newest.event.at
  return {
    source_id: source.id,
    epoch: source.epoch,
    received: toMultirange(numbers),
    last_at: newest.event.at,
    last_received_at: newest.received_at,
    // The times of replayed history have nothing to do with a clock.
    clock_offset_s: newest.historical ? 0 : secondsBetween(newest.received_at, reported),
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
