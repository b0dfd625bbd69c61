import type { Orphans } from '../core/questions/orphans.ts'
import type { Micros } from '../core/time.ts'
import type { Store } from './connect.ts'
import type { Sql } from './driver.ts'

const table = 'orphan'
/** A subjob may come before its job; after this long it is an orphan until its job comes. */
const graceMinutes = 10

/** Orphans that are looked at again in one run: whatever their number, a run takes as long. */
const slice = 10_000
/** Subjobs are looked at by when they came, this many minutes of them at a time, and for so long in one run. */
const [spanMinutes, longestRunMs] = [5, 5000]
const zero = '00000000-0000-0000-0000-000000000000'

/**
 * Notes the subjobs that came since the last run without their job, and forgets those whose job has come
 * since. A subjob is looked at once, so one whose job was deleted by age is no orphan. What a run has no time
 * for is left to the next.
 */
export async function findOrphans(store: Store): Promise<void> {
  await forgetOrphans(store)
  const began = performance.now()
  while (await findInSpan(store)) {
    if (performance.now() - began > longestRunMs) return
  }
}

/** The next of the known ones, in turn. */
async function forgetOrphans(store: Store): Promise<void> {
  await store.ask(
    { operation: 'forgetOrphans', table },
    (sql) => sql`
      /* orphans.forget */
      with part as materialized (
        select subjob_id, parent_id from orphan
        where subjob_id > (select orphans_at from horizon) order by subjob_id limit ${slice}),
      gone as (
        delete from orphan o using part s where o.subjob_id = s.subjob_id
          and (${hasParent(sql, sql`s.parent_id`)}
            or not exists (select from subjob where subjob_id = s.subjob_id)))
      update horizon set orphans_at = case when (select count(*) from part) < ${slice} then ${zero}
        else (select subjob_id from part order by subjob_id desc limit 1) end`,
  )
}

/** @returns whether there is more */
async function findInSpan(store: Store): Promise<boolean> {
  const [span] = await store.ask<{ until: Micros; more: boolean }[]>(
    { operation: 'findOrphans', table },
    (sql) => sql`
      /* orphans.find */
      with span as materialized (
        select begins, least(last, begins + make_interval(mins => ${spanMinutes})) as until, last
        from (select trusted_at - make_interval(mins => ${graceMinutes}) as last,
            case when orphans_checked > '-infinity' then orphans_checked
              else (select min(inserted_at) from subjob) end as begins from horizon) h),
      found as (
        insert into orphan (subjob_id, parent_id)
        select subjob_id, parent_id from subjob s
        where s.inserted_at >= (select begins from span) and s.inserted_at < (select until from span)
          and not ${hasParent(sql, sql`s.parent_id`)}
        on conflict do nothing)
      select coalesce(until, last) as until, coalesce(until < last, false) as more from span`,
  )
  if (span === undefined) return false
  await store.ask(
    { operation: 'orphansChecked', table: 'horizon' },
    (sql) => sql`
      /* orphans.checked */
      update horizon set orphans_checked = greatest(orphans_checked, ${span.until})`,
  )
  return span.more
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
