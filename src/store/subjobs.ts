import { type JobStatus, type SubjobCounts, statuses } from '../core/job.ts'
import type { Store } from './connect.ts'

/** How many subjobs a job has, by their status; all zero when it has none. */
export async function countSubjobs(
  store: Store,
  jobId: string,
  signal: AbortSignal,
): Promise<SubjobCounts> {
  const rows = await store.ask<{ status: JobStatus; n: number }[]>(
    { operation: 'countSubjobs', table: 'subjob' },
    (sql) => sql`
      /* subjobs.count */
      select status, count(*) as n from subjob where parent_id = ${jobId} group by status`,
    signal,
  )
  const counts: SubjobCounts = { total: 0, running: 0, succeeded: 0, failed: 0, canceled: 0 }
  for (const status of statuses) counts[status] = rows.find((row) => row.status === status)?.n ?? 0
  counts.total = rows.reduce((sum, { n }) => sum + n, 0)
  return counts
}
