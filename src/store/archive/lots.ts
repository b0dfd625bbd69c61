import type { Store } from '../connect.ts'
import type { Sql } from '../driver.ts'
import { maxLevels } from '../job-rows.ts'
import type { Fragment } from '../job-walks.ts'

/*
 * The business keys of archived subjobs, which a subjob without one has from the job above it, wherever that lies: as
 * `lotSql` and `isOfLotSql` say for the hot store.
 */

/** True for the subjobs of a business key in the archive: those that have it, and those without one below its jobs. */
export const isOfLotArchivedSql = (sql: Sql, key: string): Fragment => sql`
  a.id = any(array(
    with recursive down (id, level) as (
      select j.job_id, 0 from job j where j.job_key = ${key}
      union all
      select s.subjob_id, 1 from subjob s where s.job_key = ${key}
      union all
      select k.id, case k.kind when 'job' then 0 else 1 end from archived_job k where k.job_key = ${key}
      union all
      select s.id, level + 1 from down, lateral (
        select subjob_id as id from subjob where parent_id = down.id and job_key is null
        union
        select k.id from archived_job k
        where k.parent_id = down.id and k.kind = 'subjob' and k.job_key is null offset 0) s
      where level <= ${maxLevels})
    select id from down where level > 0))`

/**
 * The business keys that subjobs have from the jobs and subjobs above them, by the id of that; null where nothing above has one.
 *
 * @throws as {@link Store.ask}
 */
export async function findLots(
  store: Store,
  parentIds: readonly string[],
  signal: AbortSignal,
): Promise<Map<string, string | null>> {
  if (parentIds.length === 0) return new Map()
  const rows = await store.ask<{ id: string; key: string | null }[]>(
    { operation: 'findLots', table: 'archived_job' },
    (sql) => sql`
      /* archive.findLots */
      with recursive up (id, above, key, level) as (
        select id, id, null::text, 0 from unnest(${[...parentIds]}::uuid[]) as given (id)
        union all
        select up.id, f.parent_id, f.job_key, level + 1 from up, lateral (
          select null::uuid as parent_id, job_key from job where job_id = up.above
          union all
          select parent_id, job_key from subjob where subjob_id = up.above
          union all
          select case kind when 'job' then null else parent_id end, job_key from archived_job k
          where k.id = up.above
            and not exists (select from job where job_id = up.above)
            and not exists (select from subjob where subjob_id = up.above) offset 0) f
        where up.key is null and up.above is not null and level < ${maxLevels})
      select id, min(key) as key from up group by id`,
    signal,
  )
  return new Map(rows.map(({ id, key }) => [id, key]))
}
