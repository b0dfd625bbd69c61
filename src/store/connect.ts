import type net from 'node:net'
import type postgres from 'postgres'
import type { Metrics } from '../platform/metrics.ts'
import { codeFromError, explainError } from './database-error.ts'
import { openDriver, type Sql, type TransactionSql } from './driver.ts'
import { keepListening } from './listen.ts'
import { PoolGate } from './pool-gate.ts'

export type { Sql, TransactionSql } from './driver.ts'

/*
 * The pool of connections, and the one place where database work is counted, timed, bounded and
 * its errors put into words.
 *
 * Column names come back in camelCase (only those: JSON inside is untouched). Times come back as
 * canonical text (core/time.ts), `infinity` and `-infinity` as such; times go in as any text that
 * PostgreSQL reads. int8 is a number, a bigint beyond 2^53.
 */

/** The labels of a piece of work in the metrics: few values of each. */
export type Operation = { operation: string; table: string }

export type StoreOptions = {
  /** The name of the connections in pg_stat_activity: `local-api`, `local-api read`, `migrate`. */
  role: string
  /** Maximum connections. */
  max: number
  /** Connections opened at start by {@link Store.warm}. */
  min?: number
  /** Statement timeout in seconds; none unless set. */
  timeoutS?: number
  /** Connections live as long as they can: for advisory locks of the session. */
  keep?: boolean
  /** Settings of the session, for example `synchronous_commit`. */
  session?: Record<string, string | number>
  metrics?: Metrics
}

export type Store = {
  /**
   * One statement: `store.ask({operation: 'findJobs', table: 'job'}, (sql) => sql\`...\`, signal)`.
   * Aborting cancels it in the server as well.
   *
   * @throws the signal's reason; AppError `overloaded` (timeout, no room) or `unreachable`; other
   * errors of PostgreSQL as they are, with their SQLSTATE as `code`
   */
  ask<T extends readonly (object | undefined)[]>(
    op: Operation,
    question: (sql: Sql) => postgres.PendingQuery<T>,
    signal?: AbortSignal,
  ): Promise<postgres.RowList<T>>
  /** A transaction: committed when `work` resolves, rolled back when it rejects. Errors as `ask`. */
  begin<T>(op: Operation, work: (sql: TransactionSql) => Promise<T>): Promise<T>
  /**
   * Calls `heard` on every notification, and whenever some may have been missed, until the signal
   * aborts. Uses a connection of its own, which is opened again when it is lost.
   */
  listen(channel: string, heard: () => void, signal: AbortSignal): Promise<void>
  /** Places for work: `size` in all, `available` of them free now. */
  pool(): { size: number; available: number }
  /** Opens the least number of connections. Never rejects: a database that is away comes later. */
  warm(): Promise<void>
  /** Waits up to `timeoutS` (5) seconds for work in flight, then closes. */
  close(timeoutS?: number): Promise<void>
}

/** A store, and the ways to its connections that a lease has no say in. */
export type Pool = Store & {
  /**
   * The driver, for migrations and tests; everything else goes through `ask` and `begin`, which make
   * sure that no connection does two things at the same time.
   */
  sql: Sql
  /** Several statements, each for itself. Errors as `ask`. */
  run<T>(op: Operation, work: (sql: Sql) => Promise<T>): Promise<T>
}

/** Longest wait for a place when there is no statement timeout, in milliseconds. */
const maxWaitMs = 30_000
/** A server that is silent this long after a statement timeout counts as gone. Milliseconds. */
const graceMs = 5000

/** Makes the pool; connects at the first use, again and again if need be. */
export function connect(url: string, options: StoreOptions): Pool {
  const { max, metrics, timeoutS } = options
  const timeoutMs = timeoutS === undefined ? undefined : Math.ceil(timeoutS * 1000)
  const sockets = new Set<net.Socket>()
  const sql = openDriver(url, {
    name: options.role,
    max,
    keep: options.keep,
    session: options.session,
    statementTimeoutMs: timeoutMs,
    onSocket: (socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    },
  })
  const gate = shownGate(max, metrics)

  /** Runs work with room, a deadline and the metrics. */
  async function measured<T>(op: Operation, work: () => Promise<T>, signal?: AbortSignal) {
    await gate.enter(timeoutMs ?? maxWaitMs, signal)
    const startedAt = performance.now()
    const watch = timeoutMs && setTimeout(() => dropSilent(sockets), timeoutMs + graceMs)
    let status = 'ok'
    try {
      return await work()
    } catch (error) {
      status = 'error'
      throw signal?.aborted ? signal.reason : explainError(error)
    } finally {
      clearTimeout(watch)
      gate.leave()
      const { operation, table } = op
      metrics?.dbOperations.inc({ operation, table, status })
      metrics?.dbDuration.observe({ operation, table }, (performance.now() - startedAt) / 1000)
    }
  }

  return {
    sql,
    ask: (op, question, signal) => {
      const once = () => cancelable(question(sql), signal)
      return unlessAborted(
        measured(op, () => retryStray(once, timeoutMs, signal), signal),
        signal,
      )
    },
    run: (op, work) => measured(op, () => work(sql)),
    begin: (op, work) => measured(op, () => sql.begin(work as never) as Promise<never>),
    listen: (channel, heard, signal) =>
      keepListening(url, { role: options.role, channel, heard, signal }),
    pool: () => ({ size: gate.size, available: gate.free }),
    warm: async () => {
      const one = () => sql`select 1`.catch(() => {})
      await Promise.all(Array.from({ length: Math.min(options.min ?? 0, max) }, one))
    },
    close: (seconds = 5) => sql.end({ timeout: seconds }),
  }
}

/** The gate to a pool, shown in the metrics. A role may hold several pools: they show the sum. */
function shownGate(max: number, metrics: Metrics | undefined): PoolGate {
  let shown = 0
  const show = (free: number) => {
    metrics?.dbPoolAvailable.inc(free - shown)
    shown = free
  }
  metrics?.dbPoolSize.inc(max)
  show(max)
  return new PoolGate(max, { onChange: show })
}

/** Fields of a query that the driver's types leave out. */
type Internals = { state: object | null; canceller: ((query: unknown) => Promise<void>) | null }

/**
 * Cancels the query in the server when the signal aborts.
 *
 * Not by `query.cancel()`: that drops a promise which rejects when the server cannot be reached,
 * and an unhandled rejection ends the process. And not before the query is on a connection
 * (`state`): one that is canceled while its connection opens takes that connection's place in the
 * pool with it. It then runs, at most to its timeout, and its answer is dropped.
 */
export async function cancelable<T extends readonly (object | undefined)[]>(
  query: postgres.PendingQuery<T>,
  signal: AbortSignal | undefined,
): Promise<postgres.RowList<T>> {
  const cancel = () => {
    const internals = query as unknown as Internals
    const canceller = internals.canceller
    if (internals.state === null) return
    internals.canceller = null
    canceller?.(query).catch(() => {})
  }
  signal?.addEventListener('abort', cancel, { once: true })
  try {
    return (await query) as postgres.RowList<T>
  } finally {
    signal?.removeEventListener('abort', cancel)
  }
}

/** Rejects immediately when the signal aborts; the place is freed when the server is done. */
export async function unlessAborted<T>(
  work: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (!signal) return work
  work.catch(() => {})
  let onAbort = () => {}
  const aborted = new Promise<never>((_, reject) => {
    onAbort = () => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
  })
  return Promise.race([work, aborted]).finally(() => signal.removeEventListener('abort', onAbort))
}

/**
 * A cancel that comes a moment late hits whatever the connection does next. Such a
 * statement was canceled well before its timeout and is sent again.
 */
async function retryStray<T>(
  ask: () => Promise<T>,
  timeoutMs = Infinity,
  signal?: AbortSignal,
): Promise<T> {
  const startedAt = performance.now()
  try {
    return await ask()
  } catch (error) {
    const early = performance.now() - startedAt < timeoutMs * 0.9
    if (codeFromError(error) !== '57014' || !early || signal?.aborted) throw error
    return await ask()
  }
}

/**
 * Ends the connections on which nothing arrives any more. A statement is past its time although
 * the server would have ended it: the network is cut, and TCP would take a quarter of an hour to
 * notice. An idle connection that goes with them is opened again when it is needed.
 */
function dropSilent(sockets: Set<net.Socket>): void {
  const before = new Map([...sockets].map((socket) => [socket, socket.bytesRead]))
  setTimeout(() => {
    for (const [socket, bytes] of before) if (socket.bytesRead === bytes) socket.destroy()
  }, 1000).unref()
}
