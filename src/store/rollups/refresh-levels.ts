import type { Level } from '../../core/cover-window.ts'
import type { Micros } from '../../core/time.ts'
import type { Pool, Store } from '../connect.ts'
import type { Sql } from '../driver.ts'
import type { Lease } from '../lease.ts'
import { statsColumns } from './make-hours.ts'

/*
 * The days, weeks and months of rollups: exactly those that have changed, days from hours, weeks and months
 * from days. They are tables, or continuous aggregates of the same names under the Timescale licence
 * (sql/licensed); those are refreshed by the same notes, because a refresh of their own kind knows only ranges
 * up to now, and none would show a change of last year.
 */

type Made = Exclude<Level, 'hourly'>

/** What a level is made from, the levels to be made after it, and the length of its buckets. */
const levels: Record<Made, { from: Level; next: readonly Made[]; width: string }> = {
  daily: { from: 'hourly', next: ['weekly', 'monthly'], width: '1 day' },
  weekly: { from: 'daily', next: [], width: '7 days' },
  monthly: { from: 'daily', next: [], width: '1 month' },
}

/** Buckets of one transaction. */
const bucketsAtATime = 31

const op = (level: Made) => ({ operation: 'refreshRollups', table: `job_stats_${level}` })

/**
 * Makes what is stale. What fails stays stale.
 *
 * @returns how many buckets were made
 */
export async function refreshLevels(lease: Lease, signal: AbortSignal): Promise<number> {
  let made = 0
  for (const level of ['daily', 'weekly', 'monthly'] as const) {
    for (;;) {
      signal.throwIfAborted()
      const stale = await listStale(lease.reader, level)
      if (stale.length === 0) break
      if (await isAggregate(lease.reader, level)) await refreshAggregate(lease, level, stale)
      else await makeBuckets(lease.store, level, stale)
      made += stale.length
    }
  }
  return made
}

async function listStale(store: Store, level: Made): Promise<Micros[]> {
  const rows = await store.ask<{ bucket: Micros }[]>(
    op(level),
    (sql) => sql`
      /* rollups.stale */
      select bucket from rollup_stale where level = ${level} order by bucket limit ${bucketsAtATime}`,
  )
  return rows.map(({ bucket }) => bucket)
}

/** A continuous aggregate shows itself as a view. */
export async function isAggregate(store: Store, level: Made): Promise<boolean> {
  const [row] = await store.ask<{ isView: boolean }[]>(
    op(level),
    (sql) => sql`
      /* rollups.isAggregate */
      select relkind = 'v' as is_view from pg_class where oid = ${`job_stats_${level}`}::regclass`,
  )
  return row?.isView === true
}

/** Buckets are no longer stale, and those made of them are. */
async function settle(sql: Sql, level: Made, buckets: Micros[]): Promise<void> {
  await sql`
    /* rollups.settle */
    delete from rollup_stale where level = ${level} and bucket = any(${buckets}::timestamptz[])`
  for (const next of levels[level].next) {
    await sql`
      /* rollups.stale */
      insert into rollup_stale select distinct ${next}, ${startOf(sql, next)}
      from unnest(${buckets}::timestamptz[]) bucket on conflict do nothing`
  }
}

const startOf = (sql: Sql, level: Made) =>
  level === 'monthly'
    ? sql`date_trunc('month', bucket, 'UTC')`
    : sql`date_bin(${levels[level].width}::interval, bucket, '2000-01-03T00:00:00Z')`

function makeBuckets(store: Store, level: Made, buckets: Micros[]): Promise<void> {
  const { from, width } = levels[level]
  return store.begin(op(level), async (tx) => {
    const sql = tx as unknown as Sql
    const table = sql(`job_stats_${level}`)
    await sql`
      /* rollups.clearLevel */ delete from ${table} where bucket = any(${buckets}::timestamptz[])`
    await sql`
      /* rollups.makeLevel */
      insert into ${table} (${sql.unsafe(statsColumns)})
      select start, entity_type, site_id, app_name, status, sum(n), sum(timed), sum(sum_s), min(min_s), max(max_s),
        histogram_merge(array_agg(histogram)), sum(failed), histogram_merge(array_agg(waits))
      from unnest(${buckets}::timestamptz[]) start, ${sql(`job_stats_${from}`)} s
      where s.bucket >= start and s.bucket < start + ${width}::interval
      group by 1, 2, 3, 4, 5`
    await settle(sql, level, buckets)
  })
}

/** Its refresh runs in no transaction: a process that lost the lease meanwhile only does again what was done. */
async function refreshAggregate(lease: Lease, level: Made, buckets: Micros[]): Promise<void> {
  const { width } = levels[level]
  for (const bucket of buckets) {
    await lease.assertHeld()
    await callRefresh(lease.reader, level, bucket, width)
  }
  await lease.store.begin(op(level), (tx) => settle(tx as unknown as Sql, level, buckets))
}

const callRefresh = (store: Pool, level: Made, bucket: Micros, width: string) =>
  store.ask(
    op(level),
    (sql) => sql`
      /* rollups.refresh */
      call refresh_continuous_aggregate(${`job_stats_${level}`}::regclass, ${bucket}::timestamptz,
        ${bucket}::timestamptz + ${width}::interval)`,
  )
