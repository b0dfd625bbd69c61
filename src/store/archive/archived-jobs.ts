import type { Store } from '../connect.ts'
import type { ArchivedDay } from './find-days.ts'
import type { JobKind } from './jobs-sql.ts'

/* The jobs that only the archive has, by their ids: the hot store wins. */

/** Where a job lies, and as which version. */
export type ArchivedPlace = ArchivedDay & { id: string; kind: JobKind; version: number }

const op = (operation: string) => ({ operation, table: 'archived_job' })

/**
 * Those of some jobs that the hot store does not have and the archive has.
 *
 * @throws as {@link Store.ask}
 */
export async function findArchived(
  store: Store,
  kind: JobKind | undefined,
  ids: readonly string[],
  signal: AbortSignal,
): Promise<ArchivedPlace[]> {
  if (ids.length === 0) return []
  const rows = await store.ask<ArchivedPlace[]>(
    op('findArchived'),
    (sql) => sql`
      /* archive.findArchived */
      select a.id, a.kind, a.day::text as day, a.site_id as site, a.version from archived_job a
      where a.kind = any(${kind ? [kind] : ['job', 'subjob']}) and a.id = any(${[...ids]}::uuid[])
        and not exists (select from job where job_id = a.id)
        and not exists (select from subjob where subjob_id = a.id)`,
    signal,
  )
  return [...rows]
}

/**
 * How many subjobs of a job only the archive has, by the days where they lie.
 *
 * @throws as {@link Store.ask}
 */
export async function countArchivedSubjobs(
  store: Store,
  parentId: string,
  signal: AbortSignal,
): Promise<(ArchivedDay & { n: number })[]> {
  const rows = await store.ask<(ArchivedDay & { n: number })[]>(
    op('countArchivedSubjobs'),
    (sql) => sql`
      /* archive.countSubjobs */
      select a.day::text as day, a.site_id as site, count(*)::int as n from archived_job a
      where a.kind = 'subjob' and a.parent_id = ${parentId} and a.deleted
        and not exists (select from subjob where subjob_id = a.id)
      group by 1, 2 order by 1, 2`,
    signal,
  )
  return [...rows]
}
