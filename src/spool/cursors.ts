import type { Db } from './database.ts'
import type { Statements } from './statements.ts'

/**
 * The position of each sink: everything up to it was taken or refused. A new sink starts
 * at the oldest position of the others; one that was removed no longer holds events.
 */
export function openCursors(
  db: Db,
  { setAcked }: Statements,
  sinks: readonly string[],
): Map<string, number> {
  const known = new Map(
    (db.prepare('select name, acked from sink').all() as { name: string; acked: number }[]).map(
      ({ name, acked }) => [name, acked],
    ),
  )
  const start = known.size > 0 ? Math.min(...known.values()) : 0
  const cursors = new Map<string, number>()
  for (const name of sinks) {
    cursors.set(name, known.get(name) ?? start)
    // Written only when it is news: on a full disk even this would fail.
    if (!known.has(name)) setAcked.run(name, start)
  }
  for (const name of known.keys()) {
    if (!cursors.has(name)) db.prepare('delete from sink where name = ?').run(name)
  }
  return cursors
}
