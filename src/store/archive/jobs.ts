import type { Micros } from '../../core/time.ts'
import type { TransactionSql } from '../driver.ts'
import { type Column, toArrays, unnestSql } from '../unnest.ts'
import { type Day, toDate } from './days.ts'
import { type JobKind, nearDays } from './jobs-sql.ts'

/* The tables "archived_job" and "archive_move": where each job lies in the archive, and where it lay. */

/** A row of a job's file, as it was read back. */
export type ArchivedJob = {
  id: string
  job_key: string | null
  parent_id: string | null
  version: number
  updated_at: Micros | null
  started_at: Micros | null
  last_event_at: Micros | null
  /** Not null: the row only says that the job has left the day. */
  moved_to: string | null
}

const jobColumns: readonly Column[] = [
  ['id', 'uuid'],
  ['job_key', 'text'],
  ['parent_id', 'uuid'],
  ['version', 'int'],
  ['updated_at', 'timestamptz'],
  ['started_at', 'timestamptz'],
  ['last_event_at', 'timestamptz'],
]

/**
 * A time that does not lie where lists look for it by the day alone, else null: from `first` days before the day to `last` days
 * after its end (find-days.ts).
 */
export const ifFarSql = (
  time: string,
  day: string,
  { first, last }: { first: number; last: number },
) => `
  case when ${time} >= (${day}::date - ${first})::timestamp at time zone 'UTC'
    and ${time} < (${day}::date + ${last + 1})::timestamp at time zone 'UTC' then null else ${time} end`

/**
 * Notes jobs of a file of a day. A job that lay elsewhere has left that day: there it waits to be said.
 *
 * @param partition where the file lies: `site=fab1/dt=2026-03-01`
 */
export async function noteJobs(
  tx: TransactionSql,
  { kind, day, partition }: { kind: JobKind; day: Day; partition: string },
  rows: readonly ArchivedJob[],
): Promise<void> {
  const here = rows.filter(({ moved_to }) => moved_to === null)
  const left = rows.filter(({ moved_to }) => moved_to !== null)
  const date = toDate(day)
  const n = jobColumns.length
  if (here.length > 0) {
    await tx.unsafe(
      `/* archive.noteJobs */
      with given as materialized (select * from ${unnestSql('g', jobColumns)}),
      moved as (
        insert into archive_move (kind, id, site_id, day, version, moved_to)
        select a.kind, a.id, a.site_id, a.day, g.version, $${n + 4}
        from given g join archived_job a on a.kind = $${n + 1} and a.id = g.id
        where (a.site_id, a.day) <> ($${n + 2}, $${n + 3}::date) and a.version < g.version
        on conflict (kind, id, site_id, day)
          do update set version = excluded.version, moved_to = excluded.moved_to)
      insert into archived_job as j (
        kind, id, job_key, parent_id, site_id, day, version, updated_at, started_at, seen_at, deleted)
      select $${n + 1}, id, job_key, parent_id, $${n + 2}, $${n + 3}::date, version, updated_at,
        ${ifFarSql('started_at', `$${n + 3}`, nearDays.started)},
        ${ifFarSql('last_event_at', `$${n + 3}`, nearDays.seen)},
        -- An archive from before this database was made.
        not exists (select from ${kind} t where t.${kind}_id = given.id)
      from given
      on conflict (kind, id) do update set job_key = excluded.job_key, parent_id = excluded.parent_id,
        site_id = excluded.site_id, day = excluded.day, version = excluded.version,
        updated_at = excluded.updated_at, started_at = excluded.started_at, seen_at = excluded.seen_at
      where j.version < excluded.version`,
      [...toArrays(here, jobColumns), kind, day.site, date, partition],
    )
  }
  if (left.length > 0) {
    await tx.unsafe(
      `/* archive.noteMoves */
      delete from archive_move m using ${unnestSql('g', jobColumns)}
      where m.kind = $${n + 1} and m.id = g.id and m.site_id = $${n + 2} and m.day = $${n + 3}::date
        and m.version <= g.version`,
      [...toArrays(left, jobColumns), kind, day.site, date],
    )
  }
}

/** Takes the jobs of a day off the record, of which the archive has no file any more. */
export async function forgetJobs(
  tx: TransactionSql,
  kind: JobKind,
  day: Pick<Day, 'site' | 'from'>,
): Promise<void> {
  const [site, date] = [day.site, toDate(day)]
  await tx`
    /* archive.forgetJobs */
    delete from archived_job where site_id = ${site} and day = ${date}::date and kind = ${kind}`
  await tx`
    /* archive.forgetMoves */
    delete from archive_move where site_id = ${site} and day = ${date}::date and kind = ${kind}`
}
