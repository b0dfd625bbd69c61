import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../core/errors.ts'
import { lastCarried } from './carry-table.ts'
import { checkEnds, checkHeader, openDatabase } from './database.ts'
import type { Db } from './db.ts'
import { checkNames, takeLock } from './folder.ts'
import { liveCount, Positions } from './positions.ts'
import { formatVersion } from './schema.ts'
import type { SinkRow } from './statements.ts'
import { unsoundSuffix } from './swap.ts'
import { lostCommits } from './wal-check.ts'

/** What a look at a whole spool found. `odd`: what does not add up, in words. */
export type Verified = {
  events: number
  sinks: number
  rejects: number
  gaps: number
  odd: string[]
}

/**
 * Reads the whole spool of a sidecar that is stopped, and checks that each event is accounted for: for every sink
 * what came in is delivered, filtered, rejected, skipped or still there. Changes nothing.
 *
 * @throws ConfigError when there is no spool, it is in use, or of an earlier format
 */
export const verifySpool = (dir: string): Verified =>
  whileStopped(dir, (path) => verifyDatabase(dir, path))

/**
 * Checks that a tool may open the spool of a sidecar that is stopped, and change it.
 *
 * @throws ConfigError when there is no spool, it is in use, of another format, or damaged: its sidecar repairs it
 */
export function checkStopped(dir: string): void {
  whileStopped(dir, (path) => {
    const db = openDatabase(path)
    try {
      checkFormat(db, dir)
      checkHeader(db)
      checkEnds(db, false, -(lastCarried(db) ?? 0))
    } catch (error) {
      throw error instanceof ConfigError ? error : damagedError(dir, (error as Error).message)
    } finally {
      db.close()
    }
  })
}

function whileStopped<T>(dir: string, act: (path: string) => T): T {
  const path = join(dir, 'spool.db')
  if (!existsSync(path)) throw new ConfigError(`there is no spool in ${dir}`)
  checkNames(dir)
  const lock = takeLock(dir, path)
  try {
    // SQLite would take what is left of a damaged log, and delete the rest.
    const log = `${path}-wal`
    const lost = existsSync(log) ? lostCommits(log) : 0
    if (lost > 0) throw damagedError(dir, 'its log is damaged')
    if (existsSync(path + unsoundSuffix)) throw damagedError(dir, 'it was found damaged in use')
    return act(path)
  } finally {
    lock.close()
  }
}

const damagedError = (dir: string, why: string) =>
  new ConfigError(`the spool in ${dir} is damaged (${why}); start its sidecar, which repairs it`)

function verifyDatabase(dir: string, path: string): Verified {
  const db = openDatabase(path)
  try {
    const check = db.pragma('quick_check(1)', { simple: true })
    const none = { events: 0, sinks: 0, rejects: 0, gaps: 0 }
    if (check !== 'ok') return { ...none, odd: [`spool.db is damaged: ${check}`] }
    checkFormat(db, dir)
    checkHeader(db)
    return verifyTables(db)
  } finally {
    db.close()
  }
}

function checkFormat(db: Db, dir: string): void {
  const format = db.prepare('select format from meta').pluck().get()
  if (format === formatVersion) return
  throw new ConfigError(
    `the spool in ${dir} has format ${format}, not ${formatVersion}; start its sidecar once with this version`,
  )
}

function verifyTables(db: Db): Verified {
  const count = (sql: string, ...of: unknown[]) =>
    db
      .prepare(sql)
      .pluck()
      .get(...of) as number
  const sinks = db.prepare('select * from sink order by name').all() as SinkRow[]
  const acked = sinks.flatMap((row) => [row.acked, row.live_acked ?? row.acked])
  const last = Math.max(0, count('select coalesce(max(seq), 0) from event'), ...acked)
  const positions = new Positions(new Map(sinks.map((row) => [row.name, row])), last)
  const carried = lastCarried(db)
  if (carried !== undefined) positions.carried(carried, 0)
  const odd = sinks.flatMap((row) => verifySink(row, positions, count))
  const strangers = db
    .prepare('select distinct sink from reject where sink not in (select name from sink)')
    .pluck()
    .all()
  for (const name of strangers) odd.push(`${name}: has rejects, and no position`)
  return {
    events: count('select count(*) from event'),
    sinks: sinks.length,
    rejects: count('select count(*) from reject'),
    gaps: count('select count(*) from gap'),
    odd,
  }
}

function verifySink(
  row: SinkRow,
  positions: Positions,
  count: (sql: string, ...of: unknown[]) => number,
): string[] {
  const { name, delivered, filtered, rejected, skipped, acked, live_from, live_acked } = row
  const odd: string[] = []
  const there =
    count('select count(*) from event where seq > ?', acked) -
    count('select count(*) from event where seq > ? and seq <= ?', live_from ?? 0, live_acked ?? 0)
  const lag = positions.lag(name)
  if (there !== lag) odd.push(`${name}: is owed ${lag} events, and ${there} are there`)
  const sum = delivered + filtered + rejected + skipped + lag
  const accepted = positions.accepted(name)
  if (sum !== accepted)
    odd.push(`${name}: ${accepted} events came in, and ${sum} are accounted for`)
  const inGaps = count('select coalesce(sum(events), 0) from gap where sink = ?', name)
  if (inGaps !== skipped)
    odd.push(`${name}: skipped ${skipped} events, and its gaps have ${inGaps}`)
  if (liveCount(row) < 0) odd.push(`${name}: its live lane is before its beginning`)
  return odd
}
