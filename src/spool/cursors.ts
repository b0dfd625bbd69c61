import type { Db } from './db.ts'
import { type NamedPlan, type SinkPlan, toPlan } from './plans.ts'
import type { SinkRow, Statements } from './statements.ts'

/** What a damaged database still said of its sinks. */
export type KeptSink = Pick<SinkRow, 'name' | 'required' | 'state'>

/** The first and the last number in the spool. */
type Ends = [number, number] | [null, null]

/** Two questions: asked for both in one, SQLite reads the whole table. */
const endsSql = 'select (select min(seq) from event), (select max(seq) from event)'

export type Cursors = {
  rows: Map<string, SinkRow>
  /** Sinks whose recorded position was not believed. */
  resetSinks: string[]
  lastSeq: number
  /** Up to here no event is left. */
  gone: number
}

export type CursorOptions = {
  plans: readonly SinkPlan[]
  /** Where the first sink starts. */
  first?: number
  /** Of a database that this one replaces: they are owed what is carried over, configured or not. */
  kept?: readonly KeptSink[]
}

/**
 * The position of each sink: everything up to it is dealt with. A new sink starts at the oldest position
 * of the others, or after the last event. One that is not configured any more keeps its row, and its
 * events, until an operator forgets it.
 */
export function openCursors(
  db: Db,
  { setSink }: Statements,
  { plans, first = 0, kept = [] }: CursorOptions,
): Cursors {
  const found = db.prepare('select * from sink').all() as SinkRow[]
  const ends = db.prepare(endsSql).raw().get() as Ends
  const known = found.map((row) => believe(row, ends))
  const rows = new Map(known.map((row) => [row.name, row]))
  const oldest = known.length > 0 ? Math.min(...known.map(({ acked }) => acked)) : first
  const ahead = known.flatMap(({ acked, live_acked }) => [acked, live_acked ?? acked])
  const lastSeq = Math.max(0, ends[1] ?? 0, ...ahead)
  if (found.length === 0) for (const row of kept) rows.set(row.name, newRow(row, oldest))
  for (const plan of plans.map(toPlan).filter(({ enabled = true }) => enabled)) {
    const now = known.length > 0 ? lastSeq : oldest
    rows.set(plan.name, planRow(plan, rows.get(plan.name), { oldest, now }))
  }
  for (const row of rows.values()) {
    // Written only when it is news: on a full disk even this would fail.
    const before = found.find(({ name }) => name === row.name)
    if (JSON.stringify(before) !== JSON.stringify(row)) setSink.run(row)
  }
  const resetSinks = known.filter((row, i) => row.acked !== found[i]?.acked).map(({ name }) => name)
  return { rows, resetSinks, lastSeq, gone: ends[0] === null ? oldest : ends[0] - 1 }
}

/**
 * The row of a sink that is configured.
 *
 * @param before the one that it has
 * @param starts where a new one begins
 */
export function planRow(
  { name, required = true, from = 'oldest' }: NamedPlan,
  before: SinkRow | undefined,
  starts: { oldest: number; now: number },
): SinkRow {
  const row = before ?? newRow({ name, state: null }, starts[from])
  return { ...row, required: Number(required) }
}

const newRow = (of: Partial<SinkRow> & { name: string }, acked: number): SinkRow => ({
  name: of.name,
  acked,
  live_from: null,
  live_acked: null,
  required: of.required ?? 1,
  state: of.state ?? null,
  ...{ delivered: 0, filtered: 0, rejected: 0, skipped: 0, first_seq: acked + 1 },
})

/**
 * Where a sink begins. Events leave the spool from its front only, so while there are any, the last of
 * them is the last that was ever accepted. A position after it cannot be true, and which events the
 * sink has seen is unknown: all that are there are offered again, because none may be lost.
 */
function believe(row: SinkRow, [first, last]: Ends): SinkRow {
  const { name, required, state, acked, live_acked } = row
  const furthest = Math.max(acked, live_acked ?? acked)
  const isTrue = last === null || furthest <= Math.max(0, last)
  return isTrue ? row : newRow({ name, required, state }, first - 1)
}
