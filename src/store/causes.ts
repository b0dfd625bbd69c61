import { type FactName, factNames } from '../core/facts.ts'
import { must } from '../core/must.ts'
import {
  type CauseCount,
  type CauseFact,
  type CausesFilter,
  causesQuestion,
} from '../core/questions/causes.ts'
import { toMs } from '../core/time.ts'
import { findAppNames } from './apps.ts'
import type { Store } from './connect.ts'
import type { Sql } from './driver.ts'
import { errorClassSql } from './error-class.ts'
import { type Fragment, joined } from './job-walks.ts'
import { dueSql, isMadeSql, jobsBesideSql, toHours } from './rollups/read-hours.ts'

const maxOf = must(causesQuestion.maxOf, 'an answer of causes is bounded')

/** The columns that each fact is counted by; the last has its value. */
const groups: Readonly<Record<CauseFact, readonly string[]>> = {
  all: [],
  site: ['site_id'],
  app: ['app_name'],
  version: ['app_name', 'app_version'],
  ...(Object.fromEntries(factNames.map((name) => [name, [name]])) as Record<FactName, string[]>),
  chamber: ['tool', 'chamber'],
  error: ['error'],
}
const facts = Object.entries(groups)
/** Each once; the error, which is made of several, comes last. */
const columns = [...new Set(facts.flatMap(([, names]) => names))]

/** What `grouping` of all columns says where a row is counted by these: a bit for each of the others. */
const maskOf = (names: readonly string[]): number =>
  columns.reduce((mask, column) => mask * 2 + (names.includes(column) ? 0 : 1), 0)

const factOfMask = facts.map(([fact, names]) => `when ${maskOf(names)} then '${fact}'`).join(' ')
const groupingSets = facts.map(([, names]) => `(${names.join(', ')})`).join(', ')
const valued = facts.flatMap(([fact, names]) => {
  const value = names.at(-1)
  return value === undefined ? [] : [{ fact, value }]
})
const valueOfFact = valued.map(({ fact, value }) => `when '${fact}' then ${value}`).join(' ')
const allColumns = columns.join(', ')

/** The columns of a job that it is counted by. */
const jobFacts = columns.slice(0, -1).join(', ')
/** Windows up to this are counted from the jobs. */
const shortMs = 2 * 3_600_000

type Asked = CausesFilter & { apps: string[] | undefined }

/**
 * Ended and failed jobs of a window by each value of each fact, without those that ended as unknown, most failures
 * first; with those that never failed, those with most jobs as well; one more than an answer has, where there are more.
 * A short window, or one of some apps, is counted in one walk over the jobs that ended in it, by all facts at the same
 * time. Of a longer one whole hours are added up, with the jobs of those alone that have changed.
 */
export async function countCauses(
  store: Store,
  filter: CausesFilter,
  signal: AbortSignal,
): Promise<CauseCount[]> {
  const { from, to, minFailed, site, appName } = filter
  const apps = appName === undefined ? undefined : await findAppNames(store, appName, site, signal)
  const asked = { ...filter, apps }
  const isShort = apps !== undefined || toMs(to) - toMs(from) <= shortMs
  return store.ask<CauseCount[]>(
    { operation: 'causes', table: isShort ? 'job' : 'job_facets_hourly' },
    (sql) => sql`
      /* causes.count */
      ${isShort ? ofJobsSql(sql, asked) : ofHoursSql(sql, asked)}
      select fact, value, of, ended, failed, recent_ended, recent_failed from counted
      where fact = 'all' or (value <> '' and failed >= ${minFailed})
      order by ${minFailed > 0 ? sql`failed desc, ended desc` : bothSql(sql)},
        fact <> 'all', fact, of nulls first, value limit ${maxOf(filter) + 1}`,
    signal,
  )
}

/** `with .. counted`, of the jobs themselves. */
function ofJobsSql(sql: Sql, asked: Asked): Fragment {
  const { from, to } = asked
  return sql`
    with ended as (
      select ${columnsSql(sql, asked)} from job
      where ended_at >= ${from} and ended_at < ${to} ${jobsSql(sql, asked)}),
    counted as (${groupedSql(sql)})`
}

/** `with .. counted`, of the hours of a window. The hour in which the recent part begins is counted from its jobs. */
function ofHoursSql(sql: Sql, asked: Asked): Fragment {
  const { from, to, recentFrom, site } = asked
  const middle = recentFrom < from ? from : recentFrom > to ? to : recentFrom
  const halves = [toHours({ from, to: middle }), toHours({ from: middle, to })]
  const rolled = halves.map(
    ({ whole }, i) => sql`
      select fact, value, of, sum(n) as ended, sum(failed) as failed,
        ${i === 0 ? sql`0 as recent_ended, 0 as recent_failed` : sql`sum(n), sum(failed)`}
      from job_facets_hourly where ended >= ${whole.from} and ended < ${whole.to} and ${isMadeSql(sql)}
        ${site === undefined ? sql`` : sql`and site_id = ${site}`} group by 1, 2, 3`,
  )
  const columns = sql`*` as unknown as Fragment
  const beside = halves.map((hours) => jobsBesideSql(sql, { ...hours, by: 'ended_at', columns }))
  return sql`
    with ${dueSql(sql)},
    ended as (
      select ${columnsSql(sql, asked)} from (${joined(sql, beside, sql` union all `)}) job
      where true ${jobsSql(sql, asked)}),
    counted as (
      select fact, value, of, sum(ended)::int8 as ended, sum(failed)::int8 as failed,
        sum(recent_ended)::int8 as recent_ended, sum(recent_failed)::int8 as recent_failed
      from (${joined(sql, rolled, sql` union all `)} union all ${groupedSql(sql)}) parts group by 1, 2, 3)`
}

/** The columns of jobs as they are counted. */
const columnsSql = (sql: Sql, { recentFrom }: Asked) => sql`
  ${sql.unsafe(jobFacts)}, status = 'failed' as failed, ended_at >= ${recentFrom} as recent,
  case when status = 'failed' then ${errorClassSql(sql)} end as error`

/** The jobs that count, besides the window: `and ...`. */
const jobsSql = (sql: Sql, { site, apps }: Asked) => sql`
  and status <> 'unknown'
  ${site === undefined ? sql`` : sql`and site_id = ${site}`}
  ${apps === undefined ? sql`` : sql`and app_name = any(${apps})`}`

/** The jobs of `ended`, counted by each fact. */
const groupedSql = (sql: Sql) => sql`
  select fact, coalesce(case fact ${sql.unsafe(valueOfFact)} end, '') as value,
    case fact when 'version' then app_name when 'chamber' then tool end as of,
    ended, failed, recent_ended, recent_failed
  from (
    select case grouping(${sql.unsafe(allColumns)}) ${sql.unsafe(factOfMask)} end as fact, ${sql.unsafe(allColumns)},
      count(*) as ended, count(*) filter (where failed) as failed, count(*) filter (where recent) as recent_ended,
      count(*) filter (where failed and recent) as recent_failed
    from ended group by grouping sets (${sql.unsafe(groupingSets)})) grouped`

/** First those with most failures and those with most jobs, in turn; all jobs before a value that all of them have. */
const bothSql = (sql: Sql) => sql`
  least(row_number() over (order by failed desc, ended desc, fact <> 'all'),
    row_number() over (order by ended desc, failed desc, fact <> 'all'))`
