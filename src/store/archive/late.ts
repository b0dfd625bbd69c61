import type { Store } from '../connect.ts'
import type { TransactionSql } from '../driver.ts'
import { toArrays, unnestSql } from '../unnest.ts'
import type { JobKind } from './jobs-sql.ts'
import { type EventKey, keyColumns } from './rows.ts'

/*
 * How rows leave "event_late": by exactly the keys that the archive has. Never by age or by time of storage, which is
 * not the order of commit.
 */

/** Deletes events that a file of the archive has, read back just now. */
export async function deleteArchived(tx: TransactionSql, keys: readonly EventKey[]): Promise<void> {
  await tx.unsafe(
    `/* archive.deleteLate */
    delete from event_late l using ${unnestSql('k', keyColumns)}
    where l.at = k.at and l.idempotency_key = k.key`,
    toArrays(keys, keyColumns),
  )
}

/** Rows in one transaction: it locks the jobs that they count in. */
const batch = 5000

/**
 * Deletes events that came again after the archive had them, and takes them back from the counts of their jobs, which
 * they were added to a second time, and from those of their hours. What else a job shows does not change by an event that comes twice.
 *
 * @returns how many there were
 */
export async function dropRepeats(store: Store, keys: readonly EventKey[]): Promise<number> {
  let dropped = 0
  for (let i = 0; i < keys.length; i += batch) {
    const some = keys.slice(i, i + batch)
    dropped += await store.begin({ operation: 'dropRepeats', table: 'event_late' }, (tx) =>
      dropSome(tx, some),
    )
  }
  return dropped
}

type Counted = { type: 'j' | 's'; id: string; attempt: number; events: number; errors: number }

async function dropSome(tx: TransactionSql, keys: readonly EventKey[]): Promise<number> {
  const counted = await tx.unsafe<Counted[]>(
    `/* archive.dropRepeats */
    with gone as (
      delete from event_late l using ${unnestSql('k', keyColumns)}
      where l.at = k.at and l.idempotency_key = k.key
      returning l.at, l.site_id, l.app_name, l.entity_type, l.entity_id, coalesce((l.extra -> 'entity' ->> 'attempt')::int, 1) as attempt,
        l.kind, l.kind = 'error' or (l.kind in ('finished', 'canceled') and l.status = 'failed') as is_error),
    uncounted as (
      insert into event_stats_due (counts)
      select json_agg(c) from (
        select date_bin('1 hour', at, '2000-01-01T00:00:00Z') as bucket, entity_type, site_id, app_name, kind, -count(*) as n
        from gone group by 1, 2, 3, 4, 5) c
      having count(*) > 0)
    select entity_type as type, entity_id as id, attempt, count(*)::int as events,
      count(*) filter (where is_error)::int as errors
    from gone group by 1, 2, 3`,
    toArrays(keys, keyColumns),
  )
  for (const [kind, type] of [
    ['job', 'j'],
    ['subjob', 's'],
  ] as const) {
    await takeBack(
      tx,
      kind,
      counted.filter((row) => row.type === type),
    )
  }
  return counted.reduce((sum, { events }) => sum + events, 0)
}

const countColumns = [
  ['id', 'uuid'],
  ['attempt', 'int'],
  ['events', 'int'],
  ['errors', 'int'],
] as const

/** Rows are locked in the order of their ids, as ingest does. Errors are counted of the latest attempt only. */
async function takeBack(
  tx: TransactionSql,
  kind: JobKind,
  counted: readonly Counted[],
): Promise<void> {
  if (counted.length === 0) return
  await tx.unsafe(
    `/* archive.takeBack */
    with given as materialized (select * from ${unnestSql('g', countColumns)}),
    sums as materialized (
      select j.${kind}_id as id, sum(g.events)::int as events,
        coalesce(sum(g.errors) filter (where g.attempt = j.attempt), 0)::int as errors
      from given g join ${kind} j on j.${kind}_id = g.id group by 1),
    locked as materialized (
      select ${kind}_id as id from ${kind} where ${kind}_id in (select id from sums)
      order by ${kind}_id for update)
    update ${kind} t set event_count = greatest(t.event_count - s.events, 0),
      error_count = greatest(t.error_count - s.errors, 0), updated_at = now()
    from sums s join locked using (id) where t.${kind}_id = s.id`,
    toArrays(counted, countColumns),
  )
}
