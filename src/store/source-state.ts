import { AppError } from '../core/errors.ts'
import type { Heartbeat } from '../core/heartbeat.ts'
import { must } from '../core/must.ts'
import {
  maxUndelivered,
  type SourceState,
  silentAfterS,
  stoppedReportingAfterS,
} from '../core/source-state.ts'
import { type Micros, secondsBetween } from '../core/time.ts'
import type { Sql, Store } from './connect.ts'

const table = 'source_state'

/**
 * Keeps what a sidecar says of itself. Of two openings of one spool the later one is believed while it
 * speaks; an earlier one that still speaks long after it began is another sidecar, which is noted and told. After a
 * goodbye nothing that was sent before it counts.
 *
 * @param receivedAt when it came, by the clock of this role
 * @throws AppError conflict when another sidecar has the same id; overloaded when there are too many sources that never delivered: they may be made up
 */
export async function saveHeartbeat(
  store: Store,
  said: Heartbeat,
  receivedAt: Micros,
): Promise<void> {
  const { source, waiting, goodbye = false } = said
  const gone = goodbye && waiting === 0
  const offset = secondsBetween(receivedAt, said.at)
  const rows = await store.ask<{ known: boolean; put: number; twins: number }[]>(
    { operation: 'saveHeartbeat', table },
    (sql) => sql`
      /* sources.heartbeat */
      with put as (
        insert into source_state as t (source_id, epoch, heard_at, gone, waiting, offset_s, said, epoch_since)
        select ${source.id}, ${source.epoch}, clock_timestamp(), ${gone}, ${waiting}, ${offset}::float8,
          ${JSON.stringify(said)}::text::jsonb, now()
        where exists (select from source_state where source_id = ${source.id}) or (
          select count(*) from (select from source_state where delivered_at is null
            and retired_at is null limit ${maxUndelivered}) made_up) < ${maxUndelivered}
        on conflict (source_id) do update set
          epoch = excluded.epoch, heard_at = excluded.heard_at, gone = excluded.gone,
          waiting = excluded.waiting, said = excluded.said, retired_at = null,
          offset_s = excluded.offset_s, offset_before_s = t.offset_s,
          epoch_since = case when t.epoch = excluded.epoch then coalesce(t.epoch_since, now()) else now() end
        where t.heard_at is null or not (
          (excluded.epoch < t.epoch and t.heard_at > now() - make_interval(secs => ${silentAfterS}))
          or (excluded.epoch = t.epoch and not ${goodbye}
            and coalesce((t.said ->> 'goodbye')::boolean, false)))
        returning source_id),
      twin as (
        update source_state set twin_epoch = ${source.epoch}, twin_at = clock_timestamp()
        where source_id = ${source.id} and epoch > ${source.epoch} and not ${goodbye}
          and epoch_since < now() - make_interval(secs => ${silentAfterS})
          and heard_at > now() - make_interval(secs => ${silentAfterS})
        returning source_id)
      select exists (select from source_state where source_id = ${source.id}) as known,
        (select count(*) from put)::int as put, (select count(*) from twin)::int as twins,
        -- One that a crash of the database takes away is sent again in ten seconds: no need to sync.
        set_config('synchronous_commit', 'off', true) as unsynced`,
  )
  const { known, put, twins } = must(rows[0], 'counts are one row')
  if (twins > 0) {
    throw new AppError(
      'conflict',
      `another sidecar reports as ${source.id} under a later epoch: its machine or folder was copied; give one of them an empty SPOOL_DIR`,
      { field: 'source.epoch' },
    )
  }
  if (known || put > 0) return
  throw new AppError(
    'overloaded',
    `there are ${maxUndelivered} sources that have never delivered an event; no more are kept`,
    { retryAfterS: 600 },
  )
}

/** The state of a sidecar (core/source-state.ts) from its row `t` of `source_state`. */
export const stateSql = (sql: Sql) => sql`case
  when t.retired_at is not null then 'retired'
  when t.heard_at is null
    or t.delivered_at > t.heard_at + make_interval(secs => ${stoppedReportingAfterS}) then 'unknown'
  when t.gone then 'gone'
  when t.heard_at < clock_timestamp() - make_interval(secs => ${silentAfterS}) then 'silent'
  else 'reporting' end`

export type StateWord = Exclude<SourceState, 'replaced'>
