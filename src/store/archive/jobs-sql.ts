/*
 * When a job belongs into the archive, and to which day. Read together by what finds days that are due, what
 * reads the rows of one, and what deletes them (maintenance.ts): one gate. `t` is a row of job or subjob, `h` the
 * horizon, `a` the job's row in "archived_job", null when it was never archived.
 */

export type JobKind = 'job' | 'subjob'

/**
 * How many days before and after the day where it lies a job may begin, and be last heard of, to be found by that day alone;
 * "archived_job" keeps the times of others.
 */
export const nearDays = { started: { first: 1, last: 0 }, seen: { first: 0, last: 1 } } as const

/** A job that never ended counts as lost after so many days of silence; a day later it is deleted. */
const silentDays = 89

/** Neither heard of nor changed for so long: replayed history is young by the second of these. */
const isSilent = `greatest(t.last_event_at, t.updated_at) < h.trusted_at - make_interval(days => ${silentDays})`

/** The time by whose day a job is archived: its end; that of its last event when it fell silent; else null. */
export const shelvedAtSql = `case when t.ended_at is not null then t.ended_at when ${isSilent} then t.last_event_at end`

/** True for those whose {@link shelvedAtSql} lies between two times; in a form that finds them by an index. */
export const isShelvedSql = (from: string, to: string): string => `(
  (t.ended_at >= ${from} and t.ended_at < ${to})
  or (t.ended_at is null and t.seen_bin >= ${from} at time zone 'UTC' and t.seen_bin < ${to} at time zone 'UTC'
    and t.last_event_at >= ${from} and t.last_event_at < ${to} and ${isSilent}))`

/** True when the archive does not have a job as it is. */
export const isChangedSql = `(a.id is null or (not a.deleted and a.updated_at <> t.updated_at))`

/** A row with its row in the archive. @param from more tables, joined before */
export const withArchivedSql = (kind: JobKind): string =>
  `${kind} t cross join horizon h left join archived_job a on a.kind = '${kind}' and a.id = t.${kind}_id`

/**
 * True when the archive has the last version of a row of job or subjob, read back, and no day still shows it that it
 * has left.
 */
export const isArchivedSql = (kind: JobKind, row: string): string => `(
  exists (select from archived_job a where a.kind = '${kind}' and a.id = ${row}.${kind}_id
    and (a.deleted or a.updated_at = ${row}.updated_at))
  and not exists (select from archive_move m where m.kind = '${kind}' and m.id = ${row}.${kind}_id))`
