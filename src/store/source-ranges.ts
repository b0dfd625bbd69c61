import type { Event } from '../core/event.ts'
import { type Micros, secondsBetween } from '../core/time.ts'

/** What a batch says of one sidecar's spool, for the table `source`. */
export type SourceRow = {
  source_id: string
  epoch: string
  /** The numbers received, as an int8multirange. */
  received: string
  last_at: Micros
  last_received_at: Micros
  clock_offset_s: number
}

/** A row per spool that events of the batch came from, in the order of the table's key. */
export function sourceRows(events: readonly Event[]): SourceRow[] {
  const bySource = new Map<string, Event[]>()
  for (const event of events) {
    if (!event.source) continue
    const name = JSON.stringify([event.source.id, event.source.epoch])
    const known = bySource.get(name)
    if (known) known.push(event)
    else bySource.set(name, [event])
  }
  const rows = [...bySource.values()].map(rowOf)
  return rows.sort((a, b) => order(a.source_id, b.source_id) || order(a.epoch, b.epoch))
}

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

function rowOf(events: Event[]): SourceRow {
  const { id, epoch } = events[0]!.source!
  const newest = events.reduce((a, b) => (b.received_at > a.received_at ? b : a))
  const reported = newest.event.reported_at ?? newest.event.at
  return {
    source_id: id,
    epoch,
    received: rangesOf(events.map((event) => event.source!.seq)),
    last_at: newest.event.at,
    last_received_at: newest.received_at,
    // Replayed history says nothing about a clock.
    clock_offset_s: newest.historical ? 0 : secondsBetween(newest.received_at, reported),
  }
}

/** `{[1,501),[600,601)}`: the numbers as a multirange. */
export function rangesOf(numbers: readonly number[]): string {
  const sorted = [...new Set(numbers)].sort((a, b) => a - b)
  const ranges: string[] = []
  for (let i = 0; i < sorted.length; ) {
    let end = i
    while (sorted[end + 1] === sorted[end]! + 1) end++
    ranges.push(`[${sorted[i]},${sorted[end]! + 1})`)
    i = end + 1
  }
  return `{${ranges.join(',')}}`
}
