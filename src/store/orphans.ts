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

/** Counts; with `cut`, of a part of the rows. */
export type Counted<Item> = { items: Item[]; cut: boolean }

/** Maximum orphans that are counted: each costs a probe. */
const maxCounted = 10_000

/** The orphans of each site and app, most first; `cut` when there are more than are counted. */
export async function countOrphans(
  store: Store,
  { site }: { site?: string | undefined },
  signal: AbortSignal,
): Promise<Counted<Orphans>> {
  const rows = await store.ask<(Orphans & { siteId: string | null; cut: boolean })[]>(
    { operation: 'countOrphans', table },
    (sql) => sql`
      /* orphans.count */
      with part as materialized (
        select subjob_id from orphan order by subjob_id limit ${maxCounted + 1}),
      counted as (
        select site_id, app_name, count(*) as subjobs, max(started_at) as newest_started_at
        from (select subjob_id from part order by subjob_id limit ${maxCounted}) o, lateral (
          select * from subjob where subjob_id = o.subjob_id offset 0) s
        ${site === undefined ? sql`` : sql`where site_id = ${site}`}
        group by 1, 2)
      select counted.*, cut from (select count(*) > ${maxCounted} as cut from part) c
      left join counted on true order by subjobs desc, site_id, app_name`,
    signal,
  )
  return {
    // Without a count there is one row, of nulls.
    items: rows.flatMap(({ cut: _, ...counted }) => (counted.siteId === null ? [] : [counted])),
    cut: rows.some(({ cut }) => cut),
  }
}
