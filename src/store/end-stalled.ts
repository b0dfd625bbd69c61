import type { Logger } from 'pino'
import { sleep } from '../platform/backoff.ts'
import type { Operation, Store } from './connect.ts'
import { idleInTransactionMs, type Sql } from './driver.ts'

/*
 * A process that is stopped (SIGSTOP, a suspended machine, a debugger) keeps its connections open. The
 * server ends a session of ours that is idle in a transaction for long (driver.ts), but its clock
 * does not run while the process owes the rest of a message, or does not read an answer. Such a session
 * waits for its client, is not idle, and keeps every lock it has. Others end it here.
 *
 * Only sessions of the same user that carry our name: nothing else of the database is touched.
 */

/** A session that waits in the middle of its work; `ms` since the statement began. */
const stalled = (sql: Sql, ms: number) => sql`
  a.datname = current_database() and a.usename = current_user and a.pid <> pg_backend_pid()
  and a.application_name like 'wafermon %' and a.wait_event_type = 'Client' and a.state <> 'idle'
  and a.state_change < pg_catalog.clock_timestamp() - make_interval(secs => ${ms / 1000})`

/**
 * Ends the sessions that keep others waiting for a lock of any kind while they wait for their own
 * process for at least `ms`.
 *
 * @returns the names of the roles whose sessions were ended
 */
export async function endStalledBlockers(store: Store, ms: number): Promise<string[]> {
  const rows = await store.ask<{ name: string }[]>(
    { operation: 'endStalled', table: 'none' },
    (sql) => sql`
      /* endStalled.blockers */
      with blocker as materialized (
        select distinct unnest(pg_blocking_pids(w.pid)) as pid from pg_stat_activity w
        where w.datname = current_database() and w.wait_event_type = 'Lock')
      select a.application_name as name, pg_terminate_backend(a.pid)
      from pg_stat_activity a join blocker using (pid) where ${stalled(sql, ms)}`,
  )
  return rows.map(({ name }) => name)
}

/**
 * Ends the session that holds an advisory lock while it waits for its own process for at least `ms`. One
 * that is idle in a transaction is left to the server, which knows how long that session may be.
 */
export async function endStalledHolder(
  store: Store,
  op: Operation,
  key: number,
  ms: number,
): Promise<void> {
  await store.ask(
    op,
    (sql) => sql`
      /* endStalled.holder */
      select pg_terminate_backend(a.pid) from pg_stat_activity a where ${stalled(sql, ms)}
        and a.state not like 'idle in transaction%'
        and exists (select from pg_locks l where l.pid = a.pid and l.locktype = 'advisory'
          and l.classid = 0 and l.objid = ${key} and l.granted)`,
  )
}

/**
 * Ends the sessions whose statement has waited for its own process for far longer than any statement
 * may take: a reader that does not read keeps old rows from being cleaned up, and tables from
 * being dropped.
 */
export async function endStalledReaders(store: Store): Promise<void> {
  await store.ask(
    { operation: 'endStalled', table: 'none' },
    (sql) => sql`
      /* endStalled.readers */
      select pg_terminate_backend(a.pid) from pg_stat_activity a where ${stalled(sql, readerMs)}`,
  )
}

/** Above the longest QUERY_TIMEOUT_S, in milliseconds. */
const readerMs = 900_000

export type Unblocking = {
  /** How long events have waited without a commit, in milliseconds. */
  stalledMs: () => number
  log: Logger
  signal: AbortSignal
}

/**
 * While ingest stands still, ends the sessions of stopped processes that it waits for, until the signal
 * aborts.
 *
 * @param store with a connection to spare: those of ingest all wait
 */
export async function keepUnblocked(
  store: Store,
  { stalledMs, log, signal }: Unblocking,
): Promise<void> {
  while (!signal.aborted) {
    await sleep(lookMs, signal)
    if (signal.aborted || stalledMs() < lookMs) continue
    const sessions = await endStalledBlockers(store, idleInTransactionMs).catch(() => [])
    if (sessions.length > 0) log.warn({ sessions }, 'stopped processes held locks; ended them')
  }
}

const lookMs = 1000
