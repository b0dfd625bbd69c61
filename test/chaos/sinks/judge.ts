import type { Column } from './column.ts'
import type { Tally } from './load.ts'
import type { Row } from './rows.ts'
import type { Seen } from './seen.ts'
import type { Account, Cell, Gap, Site } from './site.ts'

/** What became of the events of a row at one sink. */
export type Result = {
  /** Its reader has them, once. */
  once: number
  /** A reject names why. */
  rejected: number
  /** A gap says that they were skipped. */
  skipped: number
  wrong: string[]
}

export type Reject = { id: number; sink: string; key: string; detail: string }

/** Rejects that came since the last look, of all sinks. */
export class Rejects {
  #lastId = 0

  async readNew({ url }: Site): Promise<Reject[]> {
    const found: Reject[] = []
    for (let before = ''; ; ) {
      const { items } = await ask<{ items: Reject[] }>(`${url}/v1/rejects?limit=1000${before}`)
      const fresh = items.filter(({ id }) => id > this.#lastId)
      for (const { id, sink, detail } of fresh) {
        const { event } = await ask<{ event: { idempotency_key: string } }>(
          `${url}/v1/rejects/${id}`,
        )
        found.push({ id, sink, detail, key: event.idempotency_key })
      }
      if (fresh.length < 1000) break
      before = `&before=${items.at(-1)?.id}`
    }
    this.#lastId = Math.max(this.#lastId, ...found.map(({ id }) => id))
    return found
  }
}

const ask = async <T>(url: string) => (await (await fetch(url)).json()) as T

type Judged = {
  tally: Tally
  rejects: readonly Reject[]
  /** Before and after the row. */
  before: Account
  after: Account
  /** The stamp of each event, by its key. */
  stamps: ReadonlyMap<string, Seen>
  /** Those of all sinks that the row has made. */
  gaps: readonly Gap[]
}

/** Holds what the reader of a sink has against what was acknowledged. */
export async function judge(row: Row, { column, part }: Cell, judged: Judged): Promise<Result> {
  const { tally, before, after } = judged
  const { acknowledged } = tally
  const all = await part.read(acknowledged, { restarted: row.restarts ?? false })
  const seen = all.filter(({ key }) => acknowledged.has(key))
  const ids = new Map<string, Set<string>>()
  for (const { key, id } of seen) ids.set(key, (ids.get(key) ?? new Set()).add(id))
  const { rejected, several } = sortRejects(column, judged.rejects)
  const owed = new Set(
    [...acknowledged.values()]
      .filter((sent) => column.shows?.(sent) ?? true)
      .map((sent) => sent.idempotency_key),
  )
  const strange = [...ids.keys(), ...rejected].filter((key) => !owed.has(key))
  const absent = [...owed].filter((key) => !ids.has(key) && !rejected.has(key))
  const doubled = [...ids].filter(([key, found]) => found.size > 1 || rejected.has(key))
  const skipped = after.skipped - before.skipped
  const wrong = [
    ...say(doubled.length, 'doubled'),
    ...say(strange.length, 'that it does not deliver'),
    ...(several > 0
      ? say(Math.abs(absent.length - several), `more or less missing than the ${several} rejected`)
      : findLost(column.name, absent, owed, judged)),
    ...say(column.ordered ? countDisorder(seen, judged.stamps) : 0, 'out of order'),
    ...part.complaints(),
    ...say(row.skips ? 0 : skipped, 'skipped'),
    ...(row.closesDoor ? [] : [...tally.refused].map(([why, n]) => `${n} refused: ${why}`)),
  ]
  const { delivered, filtered, lag_events, accepted } = after
  const sum = delivered + filtered + after.rejected + after.skipped + lag_events
  if (sum !== accepted) wrong.push(`${sum} of ${accepted} events accounted for`)
  return {
    ...{ once: ids.size - doubled.length, rejected: rejected.size + several },
    ...{ skipped, wrong },
  }
}

/** Keys of events that a reject is about, and how many more are in rejects that speak of several. */
function sortRejects(column: Column, rejects: readonly Reject[]) {
  const rejected = new Set<string>()
  let several = 0
  for (const { sink, key, detail } of rejects) {
    if (sink !== column.name || detail === '') continue
    const count = column.standsFor?.(detail)
    if (count === undefined) rejected.add(key)
    else several += count
  }
  return { rejected, several }
}

const say = (count: number, what: string) => (count > 0 ? [`${count} ${what}`] : [])

/** Events that are nowhere are in a gap, and those of a gap are nowhere. @param sink its name */
function findLost(
  sink: string,
  absent: readonly string[],
  owed: ReadonlySet<string>,
  { before, after, stamps, tally, gaps }: Judged,
): string[] {
  const skipped = after.skipped - before.skipped
  if (skipped === 0) return say(absent.length, 'missing')
  const own = gaps.filter((gap) => gap.sink === sink)
  // The row began with an opening of the spool, which counts from 1.
  const seqOf = (key: string) => before.accepted + (stamps.get(key)?.seq ?? 0)
  const isInGap = (key: string) =>
    own.some(({ from, to }) => seqOf(key) >= from && seqOf(key) <= to)
  const inGap = [...tally.acknowledged.keys()].filter(isInGap)
  const numbers = own.reduce((sum, { from, to }) => sum + to - from + 1, 0)
  const missing = new Set(absent)
  const isWhole = numbers === skipped && inGap.length === skipped
  return [
    ...(isWhole ? [] : [`${skipped} skipped, ${inGap.length} in gaps of ${numbers}`]),
    ...say(absent.filter((key) => !isInGap(key)).length, 'missing beside the gaps'),
    ...say(inGap.filter((key) => owed.has(key) && !missing.has(key)).length, 'in a gap and there'),
  ]
}

/** Events that its reader has after a later one of their job. */
function countDisorder(seen: readonly Seen[], stamps: ReadonlyMap<string, Seen>): number {
  const last = new Map<string, Seen>()
  const known = new Set<string>()
  let disorder = 0
  for (const { key, job } of seen) {
    const stamp = stamps.get(key)
    if (!stamp || known.has(key)) continue
    known.add(key)
    const before = last.get(job)
    if (before && isBefore(stamp, before)) disorder++
    else last.set(job, stamp)
  }
  return disorder
}

/** An epoch begins with the time of its opening. */
const isBefore = (a: Seen, b: Seen) =>
  a.epoch === b.epoch ? a.seq < b.seq : a.epoch.localeCompare(b.epoch) < 0
