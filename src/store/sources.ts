import type { Heartbeat, SinkReport } from '../core/heartbeat.ts'
import type { ListPage, Place } from '../core/list-order.ts'
import { must } from '../core/must.ts'
import { type Source, type SourceFilter, sourcesQuestion } from '../core/questions/sources.ts'
import { longestDelayS, skewLimitS } from '../core/sender-clocks.ts'
import { lagLimitS, silentAfterS } from '../core/source-state.ts'
import { secondsBetween } from '../core/time.ts'
import type { Sql, Store } from './connect.ts'
import { readList } from './page.ts'
import { stateSql } from './source-state.ts'

/*
 * A sidecar that works off a backlog delivers two batches side by side, and the later numbers may
 * arrive first. So while it catches up, this many of its newest numbers are on the way when they are
 * skipped, not missing: until its delay is below this, or nothing has come for this long and it does not
 * say that events wait.
 */
const onTheWay = { numbers: 40_000, silentS: 10, lagS: 0.2 }

/** True while the opening of row `s` catches up. */
const catchesUpSql = (sql: Sql) => sql`(s.lag_s > ${onTheWay.lagS}
  and (s.last_stored_at > now() - make_interval(secs => ${onTheWay.silentS})
    or exists (select from source_state w
      where w.source_id = s.source_id and w.epoch = s.epoch and w.waiting > 0
        and w.heard_at > now() - make_interval(secs => ${silentAfterS}))))`

/** The numbers of row `s` of `source` of which the missing ones are missing: those that are not on the way. */
const settledSql = (sql: Sql) => sql`int8multirange(int8range(1, greatest(1, upper(s.received)
  - case when ${catchesUpSql(sql)} then ${onTheWay.numbers} else 0 end)))`

/** What is open of row `s`, to the first hundred ranges. Cheap: the gaps are kept with the row. */
export const gapsSql = (sql: Sql) => sql`(s.gaps * ${settledSql(sql)})`

/** All that is open of row `s`. */
export const openSql = (sql: Sql) => sql`(open_gaps(s.received, s.accepted) * ${settledSql(sql)})`

/** How many of row `s` are missing; while it catches up, those of its first hundred gaps. */
export const missingSql = (sql: Sql) => sql`(case
  when s.missing = 0 then 0
  when ${catchesUpSql(sql)} then count_numbers(${gapsSql(sql)})
  else s.missing end)`

/**
 * How far the clocks of a source are off: `own` is that of the sidecar, `sender` that of the worst of its senders,
 * which was measured against the sidecar's. The definition: core/sender-clocks.ts.
 */
export const clocksSql = (sql: Sql, opening = 's') => sql`
  select own, case when clock_of is null then 0 else sent + own end as sender
  from (select coalesce(case when t.offset_s < ${-longestDelayS} then t.offset_s
      else greatest(t.offset_s, coalesce(t.offset_before_s, 0)) end, 0) as own,
    ${sql(opening)}.clock_offset_s as sent, ${sql(opening)}.clock_of) c`

/** Times are texts of one form, which have the order of time. */
const isLateSql = (sql: Sql) => sql`coalesce(t.waiting > 0 and t.heard_at is not null
  and (t.said ->> 'at')::timestamptz - (t.said ->> 'oldest_at')::timestamptz
    > make_interval(secs => ${lagLimitS}), false)`

/** Another living sidecar says that it is this one. */
const hasTwinSql = (sql: Sql) => sql`coalesce(t.twin_at
  > clock_timestamp() - make_interval(secs => ${silentAfterS}), false)`

/**
 * Every opening of every spool: of what is in `source`, and of sidecars whose present opening has delivered nothing.
 * Only what filters and the order need; `t` is the sidecar, `s` the opening.
 */
const openingsSql = (sql: Sql) => sql`
  select s.source_id as id, s.epoch, t.epoch is not distinct from s.epoch as is_current,
    case when t.epoch is not distinct from s.epoch then ${stateSql(sql)} else 'replaced' end as state,
    ${missingSql(sql)} > 0 or not isempty(s.reused - s.accepted_reuse) as is_lossy,
    t.epoch is not distinct from s.epoch and t.retired_at is null
      and (abs(c.own) > ${skewLimitS} or abs(c.sender) > ${skewLimitS} or ${isLateSql(sql)}
        or t.said #>> '{spool,trouble}' is not null or ${hasTwinSql(sql)}) as is_bad
  from source s left join source_state t on t.source_id = s.source_id
  left join lateral (${clocksSql(sql)}) c on true
  where not isempty(s.received)
  union all
  select t.source_id, t.epoch, true, ${stateSql(sql)}, false,
    t.retired_at is null and (abs(coalesce(t.offset_s, 0)) > ${skewLimitS} or ${isLateSql(sql)}
      or t.said #>> '{spool,trouble}' is not null or ${hasTwinSql(sql)})
  from source_state t
  where not exists (select from source s
    where s.source_id = t.source_id and s.epoch = t.epoch and not isempty(s.received))`

function matchesSql(sql: Sql, { states, trouble }: SourceFilter) {
  const isIn = states ? sql`state = any(${[...states]})` : sql`true`
  if (trouble) return sql`(${isIn} and (state = 'silent' or is_lossy or is_bad))`
  return states ? isIn : sql`(state not in ('retired', 'replaced') or is_lossy)`
}

/**
 * The openings of spools that match, by id and epoch. Unless states are asked for: without those that retired or were
 * replaced, but for those that show a loss.
 */
export function listSources(
  store: Store,
  filter: SourceFilter = {},
  signal: AbortSignal = new AbortController().signal,
  after?: Place,
): Promise<ListPage<Source>> {
  const [id = '', epoch = ''] = after ?? []
  const question = (sql: Sql, limit: number) => sql<SourceRow[]>`
    /* sources.list */
    with picked as materialized (
      select * from (${openingsSql(sql)}) o
      where ${matchesSql(sql, filter)}
        ${after ? sql`and (id collate "C", epoch collate "C") > (${id}, ${epoch})` : sql``}
      order by id collate "C", epoch collate "C" limit ${limit})
    select p.id, p.epoch, p.state, coalesce(upper(s.received) - 1, 0) as last_seq,
      count_numbers(s.received) as received, coalesce(${missingSql(sql)}, 0) as missing,
      count_numbers(s.accepted - s.received) as accepted, count_numbers(s.reused - s.accepted_reuse) as reused,
      (select jsonb_agg(jsonb_build_object('from', lower(g), 'to', upper(g) - 1))
        from unnest(${gapsSql(sql)}) g) as gaps,
      s.last_stored_at as last_seen_at, s.last_at, t.heard_at, t.said,
      case when ${hasTwinSql(sql)} then t.twin_epoch end as twin_epoch,
      c.own as own_offset_s, c.sender as sender_offset_s, s.clock_of
    from picked p
    left join source s on s.source_id = p.id and s.epoch = p.epoch
    left join source_state t on p.is_current and t.source_id = p.id
    left join lateral (${clocksSql(sql)}) c on true
    order by p.id collate "C", p.epoch collate "C"`
  const order = must(sourcesQuestion.order, 'it comes in pages')
  const rows = { order, question, toItem: toSource, limit: filter.limit }
  return readList(store, { operation: 'listSources', table: 'source' }, rows, signal)
}

type SourceRow = Pick<
  Source,
  | 'id'
  | 'epoch'
  | 'state'
  | 'lastSeq'
  | 'received'
  | 'missing'
  | 'accepted'
  | 'reused'
  | 'lastSeenAt'
  | 'lastAt'
  | 'heardAt'
> & {
  gaps: { from: number; to: number }[] | null
  said: Heartbeat | null
  /** The opening of another living sidecar under the same id. */
  twinEpoch: string | null
  ownOffsetS: number
  senderOffsetS: number
  clockOf: string | null
}

function toSource(row: SourceRow): Source {
  const { gaps, said, ownOffsetS: own, senderOffsetS: sender, clockOf, twinEpoch, ...rest } = row
  const isSender = Math.abs(sender) > Math.abs(own)
  return {
    ...rest,
    gaps: (gaps ?? []).map((gap) => ({ source: row.id, ...gap })),
    siteId: said?.site_id ?? null,
    waiting: said?.waiting ?? null,
    lagS: said === null ? null : lagOf(said),
    rejects: said?.rejects ?? null,
    spoolBytes: said?.spool?.bytes ?? null,
    spoolMaxBytes: said?.spool?.max_bytes ?? null,
    trouble: twinEpoch ? toTwinTrouble(twinEpoch) : (said?.spool?.trouble ?? null),
    sinks: (said?.sinks ?? []).map(toSinkState),
    host: said?.host ?? null,
    version: said?.version ?? null,
    clockOffsetS: isSender ? sender : own,
    clockOf: isSender ? clockOf : null,
  }
}

const toSinkState = ({ name, lag_events, lag_s, state, last_gap, ...sink }: SinkReport) => ({
  ...{ name, lagEvents: lag_events, lagS: lag_s, state, status: sink.status ?? null },
  ...{ required: sink.required ?? null, rejects: sink.rejects ?? null },
  ...{ skipped: sink.skipped ?? null, gapEvents: last_gap?.events ?? null },
  ...{ gapAt: last_gap?.at ?? null, gapReason: last_gap?.reason ?? null },
})

const toTwinTrouble = (epoch: string) =>
  `another sidecar reports under this id (epoch ${epoch}): its machine or folder was copied; give one of them an empty SPOOL_DIR`

const lagOf = ({ oldest_at, at }: Heartbeat) =>
  oldest_at === null ? 0 : Math.max(0, secondsBetween(oldest_at, at))
