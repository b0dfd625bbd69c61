import type { Micros } from '../core/time.ts'
import type { Store } from './connect.ts'
import { type Horizon, readHorizon } from './horizon.ts'

/*
 * What the archiver asks. It reads below the freeze horizon only, where "event" does not change any
 * more, so it needs no lock and may take as long as it likes.
 */

/** One site's closed hour: `from` included, `to` not. */
export type Hour = { site: string; from: Micros; to: Micros }

export type ArchiveKind = 'event' | 'job' | 'subjob'

/** A file that was written, read back and matched. */
export type ArchivedFile = {
  kind: ArchiveKind
  path: string
  rows: number
  bytes: number
  sha256: string
  atMin: Micros
  atMax: Micros
}

const op = (operation: string, table: string) => ({ operation, table })

/** Closed hours that hold events and have no archived file of them yet; oldest first. */
export async function dueHours(
  store: Store,
  site: string | undefined,
  limit: number,
): Promise<Hour[]> {
  const horizon: Horizon = await readHorizon(store)
  return store.ask<Hour[]>(
    op('dueHours', 'event'),
    (sql) => sql`
      /* archive.dueHours */
      select found.site_id as site, found.hour as from, found.hour + interval '1 hour' as to from (
        select site_id, date_trunc('hour', at, 'UTC') as hour from event
        where at < date_trunc('hour', ${horizon.frozenBefore}::timestamptz, 'UTC')
          and (${site ?? null}::text is null or site_id = ${site ?? null})
        group by 1, 2) found
      where not exists (
        select from archive_file f
        where f.kind = 'event' and f.site_id = found.site_id and f.hour = found.hour)
      order by 2, 1 limit ${limit}`,
  )
}

/** A row of the archive: column name to text, number, boolean or null; times are canonical text. */
export type ArchiveRow = Record<string, string | number | bigint | boolean | null>

const eventSelect = `at, idempotency_key::text, received_at, stored_at,
  case entity_type when 'j' then 'job' else 'subjob' end as entity_type, entity_id::text,
  parent_id::text, app_id::text, app_name, app_version, site_id, business_key, sub_key, kind,
  status, started_at, ended_at, metrics::text, metadata::text, traceparent, source_id,
  source_epoch, source_seq, historical, extra::text`

const jobSelect = (table: 'job' | 'subjob') => `ended_at, ${table}_id::text as id, parent_id::text,
  app_id::text, app_name, app_version, site_id, job_key, sub_key, status, started_at, duration_s,
  cpu_user_s, cpu_system_s, mem_max_mb, progress,
  (select jsonb_object_agg(key, value -> 1) from jsonb_each(metrics))::text as metrics,
  (coalesce(start_metadata, '{}') || coalesce(progress_metadata, '{}')
    || coalesce(end_metadata, '{}'))::text as metadata,
  error_count, last_error, last_event_at, event_count`

/** Rows of an hour in the order of time, `size` at once: memory does not grow with the hour. */
export async function* hourRows(
  store: Store,
  kind: ArchiveKind,
  { site, from, to }: Hour,
  size: number,
): AsyncGenerator<ArchiveRow[]> {
  const [time, id] = kind === 'event' ? ['at', 'idempotency_key'] : ['ended_at', `${kind}_id`]
  const columns = kind === 'event' ? eventSelect : jobSelect(kind)
  let last: { at: string; id: string } | undefined
  for (;;) {
    const rows: ArchiveRow[] = await store.ask<ArchiveRow[]>(op('hourRows', kind), (sql) =>
      sql.unsafe(
        `/* archive.hourRows */ select ${columns} from ${kind}
         where ${time} >= $1 and ${time} < $2 and site_id = $3
           and ($4::timestamptz is null or (${time}, ${id}) > ($4, $5::uuid))
         order by ${time}, ${id} limit $6`,
        [from, to, site, last?.at ?? null, last?.id ?? null, size],
      ),
    )
    if (rows.length > 0) yield rows.map((row) => ({ ...row }))
    if (rows.length < size) return
    const end = rows.at(-1)!
    last =
      kind === 'event'
        ? { at: String(end.at), id: String(end.idempotencyKey) }
        : { at: String(end.endedAt), id: String(end.id) }
  }
}

/** Notes the files of an hour, once its manifest is on disk. Doing it again changes nothing. */
export async function noteArchived(store: Store, hour: Hour, files: readonly ArchivedFile[]) {
  await store.begin(op('noteArchived', 'archive_file'), async (tx) => {
    for (const file of files) {
      await tx`
        /* archive.note */
        insert into archive_file (kind, site_id, hour, path, rows, bytes, sha256, at_min, at_max)
        values (${file.kind}, ${hour.site}, ${hour.from}, ${file.path}, ${file.rows}, ${file.bytes},
          ${file.sha256}, ${file.atMin}, ${file.atMax})
        on conflict (kind, site_id, hour, path) do nothing`
    }
  })
}

/** Whether this process is the one that archives: advisory lock 7005 of its connection. */
export async function takeArchiveLock(store: Store): Promise<boolean> {
  const [row] = await store.ask<{ ours: boolean }[]>(
    op('takeLock', 'none'),
    (sql) => sql`
      /* archive.lock */
      select case when exists (
          select from pg_locks where locktype = 'advisory' and objid = 7005 and classid = 0
            and pid = pg_backend_pid() and granted)
        then true else pg_try_advisory_lock(7005) end as ours`,
  )
  return row!.ours
}
