import type { Logger } from 'pino'
import type { Closing } from '../core/closing.ts'
import type { Event } from '../core/event.ts'
import { fromMs } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import { type ClosableRow, closableSql, makeClosing } from './close-jobs.ts'
import type { Sql, Store } from './connect.ts'
import { healthSql } from './health-sql.ts'
import { ingestMade } from './ingest.ts'
import type { JobTable } from './job-rows.ts'

export type CloseLostOptions = {
  /** Jobs that have been lost for so many seconds are closed. */
  lostAfterS: number
  log: Logger
  /** Called after every commit with the events that ended a job. */
  onEnded?: ((ended: readonly Event[]) => void) | undefined
  /** Maximum rows of each table in one run. */
  most?: number
}

/**
 * Closes jobs and subjobs that have been lost for long, with the status unknown; each is told in the log and
 * in the audit. Lost is what core/job-health.ts says: what was lost that long ago, and is silent since, has been
 * lost all the time. The longest running come first; what is over the maximum is left to the next run.
 *
 * @returns how many were closed
 */
export async function closeLost(store: Store, options: CloseLostOptions): Promise<number> {
  return (await closeIn(store, 'job', options)) + (await closeIn(store, 'subjob', options))
}

async function closeIn(
  store: Store,
  table: JobTable,
  { lostAfterS, log, onEnded, most = 500 }: CloseLostOptions,
): Promise<number> {
  const then = fromMs(clock.nowMs() - lostAfterS * 1000)
  const found = await store.ask<{ id: string }[]>({ operation: 'findLost', table }, (sql) => {
    const { join, lost } = healthSql(sql, table, then)
    return sql`
      /* closeLost.find */
      select ${sql(`${table}_id`)} as id from ${sql(table)} ${join}
      where status = 'running' and ${lost} and restored_until is null order by started_at limit ${most}`
  })
  if (found.length === 0) return 0
  const ids = found.map(({ id }) => id)
  const closing: Closing = {
    ...{ status: 'unknown', actor: 'system', address: null },
    reason: `lost for more than ${lostAfterS} s`,
  }
  const { result, ended } = await ingestMade(store, async (tx) => {
    const sql = tx as unknown as Sql
    const { join, lost } = healthSql(sql, table, then)
    // Some may have reported since they were found.
    const rows = await sql<ClosableRow[]>`
      /* closeLost.lock */
      select ${closableSql(sql, table)} from ${sql(table)} ${join}
      where ${sql(`${table}_id`)} = any(${ids}::uuid[]) and ${lost}
      order by ${sql(`${table}_id`)} for update of ${sql(table)}`
    const now = clock.now()
    const events: Event[] = []
    for (const [i, row] of rows.entries()) {
      events.push(await makeClosing(tx, row, closing, { now, seq: i + 1 }))
    }
    return { events, result: rows }
  })
  for (const { id, siteId, appName, lastEventAt } of result) {
    const fields = { [table]: id, site: siteId, app: appName, last_event_at: lastEventAt }
    log.warn({ ...fields, lost_after_s: lostAfterS }, 'lost job closed')
  }
  onEnded?.(ended)
  return result.length
}
