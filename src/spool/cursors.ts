import type { Db } from './db.ts'
import type { Statements } from './statements.ts'

type SinkRow = { name: string; acked: number }
/** The first and the last number in the spool. */
type Ends = [number, number] | [null, null]

/** Two questions: asked for both in one, SQLite reads the whole table. */
const endsSql = 'select (select min(seq) from event), (select max(seq) from event)'

/**
 * The position of each sink: everything up to it was taken or refused. A new sink starts
 * at the oldest position of the others; one that was removed no longer holds events.
 *
 * @param first where the first sink starts
 * @returns the positions, the sinks whose recorded position was not believed, and the last `seq`
 */
export function openCursors(
  db: Db,
  { setAcked }: Statements,
  sinks: readonly string[],
  first = 0,
): { cursors: Map<string, number>; resetSinks: string[]; lastSeq: number } {
  const rows = db.prepare('select name, acked from sink').all() as SinkRow[]
  const ends = db.prepare(endsSql).raw().get() as Ends
  const known = new Map(rows.map(({ name, acked }) => [name, toPosition(acked, ends)]))
  const start = known.size > 0 ? Math.min(...known.values()) : first
  const cursors = new Map<string, number>()
  for (const name of sinks) {
    const position = known.get(name) ?? start
    cursors.set(name, position)
    // Written only when it is news: on a full disk even this would fail.
    const recorded = rows.find((row) => row.name === name)?.acked
    if (recorded !== position) setAcked.run(name, position)
  }
  for (const name of known.keys()) {
    if (!cursors.has(name)) db.prepare('delete from sink where name = ?').run(name)
  }
  const reset = rows.filter(({ name, acked }) => known.get(name) !== acked)
  const lastSeq = Math.max(0, ends[1] ?? 0, ...cursors.values())
  return { cursors, resetSinks: reset.map(({ name }) => name), lastSeq }
}

/**
 * Where a sink begins. Events leave the spool from its front only, so while there are any, the last of
 * them is the last that was ever accepted. A position after it cannot be true, and which events the
 * sink has seen is unknown: all that are there are offered again, because none may be lost.
 */
const toPosition = (acked: number, [first, last]: Ends): number =>
  last !== null && acked > Math.max(0, last) ? first - 1 : acked
