import {
  type Closable,
  type Closed,
  type Closing,
  closingEvent,
  closingKey,
} from '../core/closing.ts'
import { AppError } from '../core/errors.ts'
import type { Event } from '../core/event.ts'
import { type EndStatus, isOpen, type JobStatus } from '../core/job.ts'
import type { Micros } from '../core/time.ts'
import { writeAudit } from './audit.ts'
import type { Sql, Store, TransactionSql } from './connect.ts'
import { ingestMade } from './ingest.ts'
import type { JobTable } from './job-rows.ts'

/** The columns of {@link ClosableRow}; follows `select`. */
export const closableSql = (sql: Sql, table: JobTable) => sql`
  ${sql(`${table}_id`)} as id, ${table}::text as entity_type, parent_id, app_id, app_name, app_version, site_id, job_key,
  sub_key, attempt, last_event_at, status, ended_at, end_event_key`

export type ClosableRow = Closable & {
  status: JobStatus
  endedAt: Micros | null
  endEventKey: string | null
}

/**
 * Closes a job or subjob: ends its attempt by an event of our own. Who, when and why are in the audit table, in the
 * same transaction. To close it again with the same status changes nothing.
 *
 * @returns what came of it, and the event if the job ended now
 * @throws AppError not_found; conflict for one that has ended otherwise
 */
export async function closeJob(
  store: Store,
  id: string,
  closing: Closing,
  now: Micros,
): Promise<Closed & { ended: Event[] }> {
  const { result, ended } = await ingestMade(store, async (tx) => {
    const row = (await lockRow(tx, 'job', id)) ?? (await lockRow(tx, 'subjob', id))
    if (!row) throw new AppError('not_found', `there is no job or subjob ${id}`, { field: 'id' })
    if (!isOpen(row.status)) return { events: [], result: checkEnded(row, closing) }
    const event = await makeClosing(tx, row, closing, { now, seq: 1 })
    return {
      events: [event],
      result: { closed: true, status: closing.status, endedAt: row.lastEventAt },
    }
  })
  return { ...result, ended }
}

async function lockRow(tx: TransactionSql, table: JobTable, id: string) {
  const sql = tx as unknown as Sql
  const [row] = await sql<ClosableRow[]>`
    /* close.lock */
    select ${closableSql(sql, table)} from ${sql(table)} where ${sql(`${table}_id`)} = ${id} for update`
  return row
}

/** The answer for a job that was closed like this before. @throws AppError conflict for any other */
function checkEnded({ id, attempt, status, endedAt, endEventKey }: ClosableRow, closing: Closing) {
  if (endedAt !== null && endEventKey === closingKey(id, attempt, closing.status)) {
    return { closed: false, status: status as EndStatus, endedAt }
  }
  throw new AppError(
    'conflict',
    `the job has ended (${status}); only one that waits or runs is closed`,
    {
      field: 'id',
    },
  )
}

/** The event that closes a row which is locked; what it does is in the audit. */
export async function makeClosing(
  tx: TransactionSql,
  row: ClosableRow,
  closing: Closing,
  { now, seq }: { now: Micros; seq: number },
): Promise<Event> {
  const { status, reason, actor, address } = closing
  await writeAudit(tx, {
    ...{ actor, address, reason, action: 'job.close', object: `${row.entityType} ${row.id}` },
    before: { status: row.status, attempt: row.attempt, last_event_at: row.lastEventAt },
    after: { status, ended_at: row.lastEventAt },
  })
  return closingEvent(row, closing, now, seq)
}
