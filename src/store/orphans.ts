import type { Orphans } from '../core/questions/orphans.ts'
import type { Micros } from '../core/time.ts'
import type { Store } from './connect.ts'
import type { Sql } from './driver.ts'

const table = 'orphan'
/** A subjob may come before its job; after this long it is an orphan until its job comes. */
const graceMinutes = 10

/**
 * Notes the subjobs that came since the last run without their job, and forgets those whose job has come
 * since. A subjob is looked at once, so one whose job was deleted by age is no orphan.
 */
export async function findOrphans(store: Store): Promise<void> {
  await store.ask(
    { operation: 'forgetOrphans', table },
    (sql) => sql`
      /* orphans.forget */
      delete from orphan o where ${hasParent(sql, sql`o.parent_id`)}
        or not exists (select from subjob where subjob_id = o.subjob_id)`,
  )
  const [span] = await store.ask<{ until: Micros }[]>(
    { operation: 'findOrphans', table },
    (sql) => sql`
      /* orphans.find */
      with until as materialized (
        select trusted_at - make_interval(mins => ${graceMinutes}) as at from horizon),
      found as (
        insert into orphan (subjob_id, parent_id)
        select subjob_id, parent_id from subjob s
        where s.inserted_at >= (select orphans_checked from horizon)
          and s.inserted_at < (select at from until)
          and not ${hasParent(sql, sql`s.parent_id`)}
        on conflict do nothing)
      select at as until from until`,
  )
  if (span === undefined) return
  await store.ask(
    { operation: 'orphansChecked', table: 'horizon' },
    (sql) => sql`
      /* orphans.checked */
      update horizon set orphans_checked = greatest(orphans_checked, ${span.until})`,
  )
}

const hasParent = (sql: Sql, id: ReturnType<Sql>) => sql`(
  exists (select from job where job_id = ${id})
  or exists (select from subjob p where p.subjob_id = ${id}))`

/** The orphans of each site and app, most first. */
export function countOrphans(
  store: Store,
  { site }: { site?: string | undefined },
  signal: AbortSignal,
): Promise<Orphans[]> {
  return store.ask<Orphans[]>(
    { operation: 'countOrphans', table },
    (sql) => sql`
      /* orphans.count */
      select site_id, app_name, count(*) as subjobs, max(started_at) as newest_started_at
      from orphan join subjob using (subjob_id)
      ${site === undefined ? sql`` : sql`where site_id = ${site}`}
      group by 1, 2 order by subjobs desc, 1, 2`,
    signal,
  )
}
