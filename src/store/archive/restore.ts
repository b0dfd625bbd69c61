import type { Event } from '../../core/event.ts'
import { must } from '../../core/must.ts'
import type { Micros } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import type { Sql, TransactionSql } from '../driver.ts'
import { toEventRow } from '../event-row.ts'
import { timeSpan } from '../ingest-insert.ts'
import { eventColumns, slotColumns, upsertSql } from '../ingest-sql.ts'
import { failedAttemptsSql, queueSql } from '../job-rows.ts'
import { locks } from '../locks.ts'
import { entityType } from '../rollups/make-hours.ts'
import { toArrays, unnestSql } from '../unnest.ts'
import { ifFarSql } from './jobs.ts'
import { type JobKind, nearDays } from './jobs-sql.ts'
import { type ShelvedJob, slotsOfShelved } from './restored-slots.ts'

/*
 * Rows of the archive, put back into the hot store until a time. What always holds:
 *
 * - What is there already stays as it is, a part of a deleted job included; so a second time changes nothing.
 * - A batch is one transaction: a job is there with its marks, or not at all.
 * - Restored events lie in "event_late" with `restored_until`: the archiver passes them over, so they are never archived again
 *   nor counted as repeats, and an event that is sent again finds its copy and is a repeat. Nothing else is done that an
 *   arriving event does: counts, sources, apps, live positions and alerts stay as they are.
 * - A restored job has the `updated_at` with which it was archived, so it counts as archived until an event changes it.
 * - Rollups count a deleted job already: it is noted as counted before their next round sees it.
 */

/** How many rows were put back, and how many were there. */
export type Restored = { restored: number; kept: number }

/** Until when what is restored now stays. By the trusted time, and the database's where there is none. */
export async function restoredUntil(store: Store, days: number): Promise<Micros> {
  const [row] = await store.ask<{ until: Micros }[]>(
    { operation: 'restoredUntil', table: 'horizon' },
    (sql) => sql`
      /* restore.until */
      select greatest(trusted_at, now()) + make_interval(days => ${days}) as until from horizon`,
  )
  return must(row, 'the horizon is one row').until
}

/** Puts events back that the hot store does not have. @param events of at most a few thousand rows */
export async function restoreEvents(
  store: Store,
  events: readonly Event[],
  until: Micros,
): Promise<Restored> {
  const rows = events.map(toEventRow)
  const n = eventColumns.length
  const names = eventColumns.map(([name]) => name)
  const restored = await store.begin(
    { operation: 'restoreEvents', table: 'event_late' },
    async (tx) => {
      // In the lock, as ingest: what is in "event" cannot come in between.
      await tx`select pg_advisory_xact_lock_shared(${locks.horizon})`
      const [row] = await tx.unsafe<{ n: number }[]>(
        `/* restore.events */
      with inserted as (
        insert into event_late (batch, restored_until, ${names.join(', ')})
        select nextval('event_batch_id'), $${n + 1}::timestamptz, ${names.map((name) => `r.${name}`).join(', ')}
        from ${unnestSql('r', eventColumns)}
        where not exists (select from event e where e.at = r.at and e.idempotency_key = r.idempotency_key
          and e.at between $${n + 2}::timestamptz and $${n + 3}::timestamptz)
        order by r.at, r.idempotency_key
        on conflict (at, idempotency_key) do nothing returning 1)
      select count(*)::int as n from inserted`,
        [...toArrays(rows, eventColumns), until, ...timeSpan(rows.map(({ at }) => at))],
      )
      return must(row, 'count(*) gives one row').n
    },
  )
  return { restored, kept: events.length - restored }
}

/** Where a job lies in the archive. */
export type Shelf = { site: string; day: string }

/**
 * Puts jobs back that the hot store does not have, as the archive shows them. One of which the record knows a later
 * version, or another day, is left: this is not its last.
 *
 * @param jobs at most a few thousand, each once
 */
export async function restoreJobs(
  store: Store,
  kind: JobKind,
  jobs: readonly (ShelvedJob & { shelf: Shelf })[],
  until: Micros,
): Promise<Restored> {
  const restored = await store.begin({ operation: 'restoreJobs', table: kind }, async (tx) => {
    // A round of rollups is over, or has not begun, for as long.
    await tx`set local lock_timeout = '60s'`
    await tx`/* restore.lockCounted */ lock table job_stats_counted in share row exclusive mode`
    await noteUnknown(tx, kind, jobs)
    const wanted = await lockWanted(
      tx,
      kind,
      jobs.map(({ id }) => id),
    )
    const some = jobs.filter((job) => wanted.get(job.id) === job.version)
    if (some.length === 0) return 0
    await tx.unsafe(upsertSql(kind), toArrays(some.map(slotsOfShelved), slotColumns))
    await mark(tx, kind, some, until)
    await noteCounted(
      tx as unknown as Sql,
      kind,
      some.map(({ id }) => id),
    )
    return some.length
  })
  return { restored, kept: jobs.length - restored }
}

const shelfColumns = [
  ['id', 'uuid'],
  ['job_key', 'text'],
  ['parent_id', 'uuid'],
  ['site', 'text'],
  ['day', 'date'],
  ['version', 'int'],
  ['updated_at', 'timestamptz'],
  ['started_at', 'timestamptz'],
  ['seen_at', 'timestamptz'],
] as const

/** Jobs that are not on record, in a database that is younger than the archive, or restored from a copy. */
async function noteUnknown(
  tx: TransactionSql,
  kind: JobKind,
  jobs: readonly (ShelvedJob & { shelf: Shelf })[],
): Promise<void> {
  const rows = jobs.map(({ id, jobKey, parentId, version, shelf, ...job }) => ({
    ...{ id, job_key: jobKey, parent_id: parentId, site: shelf.site, day: shelf.day, version },
    ...{ updated_at: job.updatedAt, started_at: job.startedAt, seen_at: job.lastEventAt },
  }))
  await tx.unsafe(
    `/* restore.note */
    insert into archived_job (
      kind, id, job_key, parent_id, site_id, day, version, updated_at, started_at, seen_at, deleted)
    select '${kind}', id, job_key, parent_id, site, day, version, updated_at,
      ${ifFarSql('started_at', 'day', nearDays.started)}, ${ifFarSql('seen_at', 'day', nearDays.seen)}, true
    from ${unnestSql('g', shelfColumns)}
    where not exists (select from ${kind} t where t.${kind}_id = g.id)
    order by id on conflict (kind, id) do nothing`,
    toArrays(rows, shelfColumns),
  )
}

/** The jobs that were deleted and are not there, with the version on record; their records are locked. */
async function lockWanted(tx: TransactionSql, kind: JobKind, ids: readonly string[]) {
  const rows = await tx.unsafe<{ id: string; version: number }[]>(
    `/* restore.lock */
    select a.id, a.version from archived_job a
    where a.kind = '${kind}' and a.id = any($1::uuid[]) and a.deleted
      and not exists (select from ${kind} t where t.${kind}_id = a.id)
    order by a.id for update`,
    [`{${ids.join(',')}}`],
  )
  return new Map(rows.map(({ id, version }) => [id, version]))
}

const markColumns = [
  ['id', 'uuid'],
  ['inserted_at', 'timestamptz'],
  ['event_count', 'int'],
] as const

/** It is what the archive has, unless an event came in between, and may be deleted again once its time has passed. */
async function mark(
  tx: TransactionSql,
  kind: JobKind,
  jobs: readonly ShelvedJob[],
  until: Micros,
): Promise<void> {
  const rows = jobs.map(({ id, insertedAt, eventCount }) => ({
    ...{ id, inserted_at: insertedAt, event_count: eventCount },
  }))
  await tx.unsafe(
    `/* restore.mark */
    with given as materialized (select * from ${unnestSql('g', markColumns)}),
    known as (
      update archived_job a set deleted = false from given
      where a.kind = '${kind}' and a.id = given.id returning a.id, a.updated_at)
    update ${kind} t set inserted_at = given.inserted_at,
      updated_at = case t.event_count when given.event_count then known.updated_at else t.updated_at end,
      restored_until = $${markColumns.length + 1}::timestamptz
    from given join known using (id) where t.${kind}_id = given.id`,
    [...toArrays(rows, markColumns), until],
  )
}

/**
 * A deleted job is counted in the rollups of its hour. Where its deletion waits to be seen there, it is taken back; in an
 * hour that is not made anew any more, the job is written down as counted.
 */
async function noteCounted(sql: Sql, kind: JobKind, ids: readonly string[]): Promise<void> {
  const id = sql(`${kind}_id`)
  await sql`
    /* restore.counted */
    with back as (
      delete from job_stats_gone where entity_type = ${entityType(kind)} and id = any(${[...ids]}::uuid[])
      returning id)
    insert into job_stats_counted (entity_type, bucket, id, site_id, app_name, status, duration_s, failed, waited_s)
    select f.entity_type, f.bucket, ${id}, site_id, app_name, status, duration_s, ${failedAttemptsSql(sql)}, ${queueSql(sql)}
    from ${sql(kind)} join job_stats_frozen f on f.entity_type = ${entityType(kind)}
      and f.bucket = date_bin('1 hour', started_at, '2000-01-01T00:00:00Z')
    where ${id} = any(${[...ids]}::uuid[]) and ${id} not in (select id from back)
    on conflict (entity_type, bucket, id) do nothing`
}

/** Rows that are deleted in one statement. */
const batch = 5000

/** Deletes restored events whose time has passed. */
export async function dropRestored(store: Store, signal: AbortSignal): Promise<number> {
  let total = 0
  for (;;) {
    signal.throwIfAborted()
    const { count } = await store.ask(
      { operation: 'dropRestored', table: 'event_late' },
      (sql) => sql`
        /* restore.drop */
        delete from event_late where ctid = any(array(
          select ctid from event_late
          where restored_until < (select trusted_at from horizon) limit ${batch}))`,
    )
    total += count
    if (count < batch) return total
  }
}
