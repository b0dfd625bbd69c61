import type { AttemptEntry } from '../../src/core/attempt-entry.ts'
import { listAttempts } from '../../src/core/attempts.ts'
import type { Store } from '../../src/store/connect.ts'
import { entrySql } from '../../src/store/ingest-sql.ts'
import { failedAttemptsSql, type JobTable, queueSql } from '../../src/store/job-rows.ts'
import type { Expected } from './oracle.ts'

/** The jobs and subjobs of a store, as the oracle has them. */
export async function storedRows(store: Store): Promise<Map<string, Expected>> {
  const columns = `parent_id, site_id, app_name, job_key, sub_key, status, started_at, ended_at, duration_s,
    cpu_user_s, cpu_system_s, mem_max_mb, progress, metrics, error_count, last_error, last_event_at, event_count,
    coalesce(queue_metadata, '{}') || coalesce(start_metadata, '{}') || coalesce(progress_metadata, '{}')
      || coalesce(end_metadata, '{}') as metadata,
    queued_at, attempt, attempts`
  const rows = await store.ask<Record<string, unknown>[]>(
    { operation: 'test', table: 'none' },
    (sql) => {
      const of = (table: JobTable) => sql`
      select ${table}::text as type, ${sql(`${table}_id`)} as id, ${sql.unsafe(columns)},
        ${queueSql(sql)} as queue_s, ${failedAttemptsSql(sql)} as failed_attempts,
        ${sql.unsafe(entrySql(table))} as entry
      from ${sql(table)}`
      return sql`${of('job')} union all ${of('subjob')}`
    },
  )
  return new Map(rows.map((row) => [String(row.type) + row.id, expectedFrom(row)]))
}

function expectedFrom(row: Record<string, unknown>): Expected {
  const metrics = Object.entries((row.metrics ?? {}) as Record<string, [string, number]>)
  return {
    id: row.id,
    parent: row.parentId,
    site: row.siteId,
    app: row.appName,
    key: row.jobKey,
    subKey: row.subKey,
    status: row.status,
    startedAt: row.startedAt,
    endedAt: row.endedAt,
    durationS: row.durationS,
    cpuUserS: row.cpuUserS,
    cpuSystemS: row.cpuSystemS,
    memMaxMb: row.memMaxMb,
    progress: row.progress,
    metrics: Object.fromEntries(metrics.map(([name, [, value]]) => [name, value])),
    metadata: row.metadata,
    errorCount: row.errorCount,
    lastError: row.lastError,
    lastEventAt: row.lastEventAt,
    eventCount: row.eventCount,
    queuedAt: row.queuedAt,
    queueS: row.queueS,
    attempt: row.attempt,
    failedAttempts: row.failedAttempts,
    attempts: listAttempts(row as never, row.entry as AttemptEntry, row.attempts as never),
  } as Expected
}

/** As JSON has it: there is no -0, and no order of names. */
export const plain = (rows: Map<string, Expected>) =>
  Object.fromEntries([...rows].sort().map(([name, row]) => [name, JSON.parse(JSON.stringify(row))]))
