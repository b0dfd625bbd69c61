import { AppError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import { sleep } from '../platform/backoff.ts'
import { codeFromError, explainError } from './database-error.ts'
import { idleInTransactionMs, openDriver, type Sql } from './driver.ts'

/*
 * A connection pooler between us and the database (PgBouncer and its kind) may hand each of our
 * transactions to another session. Prepared statements, leases and notifications belong to a session:
 * behind such a pooler most posts fail, or worse, two replicas hold the same lease. It may also
 * drop the settings of our sessions. Both are found out before any work is done.
 */

/** A database that is silent this long is away, in milliseconds. */
const silentMs = 10_000
/** PostgreSQL's code when a pooler rejects the parameters of a session. */
const protocolViolation = '08P01'

/**
 * Looks at the way to the database: a connection, and a second one when a pooler is between.
 *
 * @throws AppError conflict, with the remedy, when a pooler is between that we cannot work with; other
 * errors as `Store.ask`
 */
export async function refuseUnfitPooler(url: string): Promise<void> {
  const [one, other] = [1, 2].map(() => openDriver(url, { name: 'pooler check', max: 1 })) as [
    Sql,
    Sql,
  ]
  const silent = new AbortController()
  const tooLate = sleep(silentMs, silent.signal).then(() => {
    throw new AppError('unavailable', 'the database does not answer', { retryAfterS: 2 })
  })
  tooLate.catch(() => {})
  try {
    await Promise.race([look(one, other), tooLate])
  } catch (error) {
    const { message } = error as Error
    if (codeFromError(error) === protocolViolation) throw unfit(`${message}; ${lostSettings}`)
    throw explainError(error)
  } finally {
    silent.abort()
    await Promise.all([one.end({ timeout: 1 }), other.end({ timeout: 1 })])
  }
}

async function look(one: Sql, other: Sql): Promise<void> {
  const asked = one<Session[]>`
      /* pooler.session */
      select pg_backend_pid() as pid, current_setting('idle_in_transaction_session_timeout') as idle`
  const session = must((await asked)[0], 'a select without a table answers one row')
  // The server names its process to the client that it greets; a pooler names none of the server's.
  if ((asked as unknown as { state: { pid: number } }).state.pid === session.pid) return
  if (await isShared(one, other, session.pid)) throw unfit(wrongMode)
  if (session.idle !== `${idleInTransactionMs / 1000}s`) throw unfit(lostSettings)
}

type Session = { pid: number; idle: string }

/** How often it is tried: other clients may use the very session at the time of one try. */
const tries = 20

/** True when one client gets the session of another, or another one than before, while both are connected. */
async function isShared(one: Sql, other: Sql, pid: number): Promise<boolean> {
  // Without a transaction first: pooling by statement knows none.
  for (let i = 0; i < tries; i++) {
    if ((await pidOf(other)) === pid || (await pidOf(one)) !== pid) return true
  }
  return other.begin(async (tx) => {
    if ((await pidOf(tx)) === pid) return true
    return (await pidOf(one)) !== pid
  }) as Promise<boolean>
}

async function pidOf(sql: Pick<Sql, 'unsafe'>): Promise<number> {
  const [row] = await sql.unsafe<[{ pid: number }]>('select pg_backend_pid() as pid')
  return row.pid
}

const wrongMode =
  'it pools by transaction or statement: set pool_mode = session for this database, or point DATABASE_URL at PostgreSQL itself'
const lostSettings = `it does not pass on the settings of our sessions: point DATABASE_URL at PostgreSQL itself, or see docs/deployment.md on poolers`

const unfit = (why: string) =>
  new AppError('conflict', `a connection pooler is between this role and the database; ${why}`)
