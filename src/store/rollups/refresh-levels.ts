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

/** The rollups that have these levels, with the columns that are counted and how they add up. */
const kinds = {
  job_stats: {
    columns: statsColumns,
    groups: 'entity_type, site_id, app_name, status',
    sums: `sum(n), sum(timed), sum(sum_s), min(min_s), max(max_s), histogram_merge(array_agg(histogram)), sum(failed),
      histogram_merge(array_agg(waits))`,
  },
  event_stats: {
    columns: 'bucket, entity_type, site_id, app_name, kind, n',
    groups: 'entity_type, site_id, app_name, kind',
    sums: 'sum(n)',
  },
} as const
type Kind = keyof typeof kinds

/** A level of some rollups: `job_stats_daily`. */
type Table = { kind: Kind; level: Made }
const nameOf = ({ kind, level }: Table) => `${kind}_${level}`

/** Buckets of one transaction. */
const bucketsAtATime = 31

const op = (table: Table) => ({ operation: 'refreshRollups', table: nameOf(table) })

/**
 * Makes what is stale. What fails stays stale.
 *
 * @returns how many buckets were made
 */
export async function refreshLevels(lease: Lease, signal: AbortSignal): Promise<number> {
  let made = 0
  for (const kind of Object.keys(kinds) as Kind[]) {
    for (const level of ['daily', 'weekly', 'monthly'] as const) {
      made += await refreshLevel(lease, { kind, level }, signal)
    }
  }
  return made
}

async function refreshLevel(lease: Lease, table: Table, signal: AbortSignal): Promise<number> {
  for (let made = 0; ; ) {
    signal.throwIfAborted()
    const stale = await listStale(lease.reader, table)
    if (stale.length === 0) return made
    if (await isAggregate(lease.reader, table)) await refreshAggregate(lease, table, stale)
    else await makeBuckets(lease.store, table, stale)
    made += stale.length
  }
}

async function listStale(store: Store, table: Table): Promise<Micros[]> {
  const rows = await store.ask<{ bucket: Micros }[]>(
    op(table),
    (sql) => sql`
      /* rollups.stale */
      select bucket from rollup_stale where stats = ${table.kind} and level = ${table.level}
      order by bucket limit ${bucketsAtATime}`,
  )
  return rows.map(({ bucket }) => bucket)
}

/** A continuous aggregate shows itself as a view. */
async function isAggregate(store: Store, table: Table): Promise<boolean> {
  const [row] = await store.ask<{ isView: boolean }[]>(
    op(table),
    (sql) => sql`
      /* rollups.isAggregate */
      select relkind = 'v' as is_view from pg_class where oid = ${nameOf(table)}::regclass`,
  )
  return row?.isView === true
}

/** Buckets are no longer stale, and those made of them are. */
async function settle(sql: Sql, { kind, level }: Table, buckets: Micros[]): Promise<void> {
  await sql`
    /* rollups.settle */
    delete from rollup_stale
    where stats = ${kind} and level = ${level} and bucket = any(${buckets}::timestamptz[])`
  for (const next of levels[level].next) {
    await sql`
      /* rollups.stale */
      insert into rollup_stale (stats, level, bucket) select distinct ${kind}, ${next}, ${startOf(sql, next)}
      from unnest(${buckets}::timestamptz[]) bucket on conflict do nothing`
  }
}

const startOf = (sql: Sql, level: Made) =>
  level === 'monthly'
    ? sql`date_trunc('month', bucket, 'UTC')`
    : sql`date_bin(${levels[level].width}::interval, bucket, '2000-01-03T00:00:00Z')`

function makeBuckets(store: Store, table: Table, buckets: Micros[]): Promise<void> {
  const { from, width } = levels[table.level]
  const { columns, groups, sums } = kinds[table.kind]
  return store.begin(op(table), async (tx) => {
    const sql = tx as unknown as Sql
    const into = sql(nameOf(table))
    await sql`
      /* rollups.clearLevel */ delete from ${into} where bucket = any(${buckets}::timestamptz[])`
    await sql`
      /* rollups.makeLevel */
      insert into ${into} (${sql.unsafe(columns)})
      select start, ${sql.unsafe(groups)}, ${sql.unsafe(sums)}
      from unnest(${buckets}::timestamptz[]) start, ${sql(`${table.kind}_${from}`)} s
      where s.bucket >= start and s.bucket < start + ${width}::interval
      group by 1, 2, 3, 4, 5`
    await settle(sql, table, buckets)
  })
}

/** Its refresh runs in no transaction: a process that lost the lease meanwhile only does again what was done. */
async function refreshAggregate(lease: Lease, table: Table, buckets: Micros[]): Promise<void> {
  const { width } = levels[table.level]
  for (const bucket of buckets) {
    await lease.assertHeld()
    await callRefresh(lease.reader, table, bucket, width)
  }
  await lease.store.begin(op(table), (tx) => settle(tx as unknown as Sql, table, buckets))
}

const callRefresh = (store: Pool, table: Table, bucket: Micros, width: string) =>
  store.ask(
    op(table),
    (sql) => sql`
      /* rollups.refresh */
      call refresh_continuous_aggregate(${nameOf(table)}::regclass, ${bucket}::timestamptz,
        ${bucket}::timestamptz + ${width}::interval)`,
  )
