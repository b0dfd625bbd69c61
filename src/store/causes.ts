import { type FactName, factNames } from '../core/facts.ts'
import { must } from '../core/must.ts'
import {
  type CauseCount,
  type CauseFact,
  type CausesFilter,
  causesQuestion,
} from '../core/questions/causes.ts'
import { findAppNames } from './apps.ts'
import type { Store } from './connect.ts'
import type { Sql } from './driver.ts'

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
const hasValue = valued.map(({ fact, value }) => `when '${fact}' then ${value} <> ''`).join(' ')

/**
 * Ended and failed jobs of a window by each value of each fact, without those that ended as unknown, most failures
 * first; with those that never failed, those with most jobs as well; one more than an answer has, where there are more. One walk over the
 * jobs that ended in the window, which counts them by all facts at the same time.
 */
export async function countCauses(
  store: Store,
  filter: CausesFilter,
  signal: AbortSignal,
): Promise<CauseCount[]> {
  const { from, to, recentFrom, minFailed, site, appName } = filter
  const apps = appName === undefined ? undefined : await findAppNames(store, appName, site, signal)
  return store.ask<CauseCount[]>(
    { operation: 'causes', table: 'job' },
    (sql) => {
      const names = sql.unsafe(columns.join(', '))
      return sql`
        /* causes.count */
        with counted as (
          select case grouping(${names}) ${sql.unsafe(factOfMask)} end as fact, ${names},
            count(*) as ended, count(*) filter (where failed) as failed,
            count(*) filter (where recent) as recent_ended,
            count(*) filter (where failed and recent) as recent_failed
          from (
            select ${sql.unsafe(columns.slice(0, -1).join(', '))},
              status = 'failed' as failed, ended_at >= ${recentFrom} as recent,
              case when status = 'failed' then ${errorClassSql(sql)} end as error
            from job where ended_at >= ${from} and ended_at < ${to} and status <> 'unknown'
            ${site === undefined ? sql`` : sql`and site_id = ${site}`}
            ${apps === undefined ? sql`` : sql`and app_name = any(${apps})`}) ended
          group by grouping sets (${sql.unsafe(groupingSets)})
          having count(*) filter (where failed) >= ${minFailed} or grouping(${names}) = ${maskOf([])}::int)
        select fact, coalesce(case fact ${sql.unsafe(valueOfFact)} end, '') as value,
          case fact when 'version' then app_name when 'chamber' then tool end as of,
          ended, failed, recent_ended, recent_failed
        from counted
        where case fact when 'all' then true ${sql.unsafe(hasValue)} end
        order by ${minFailed > 0 ? sql`failed desc, ended desc` : bothSql(sql)},
          fact <> 'all', fact, of nulls first, value limit ${maxOf(filter) + 1}`
    },
    signal,
  )
}

/** First those with most failures and those with most jobs, in turn; all jobs before a value that all of them have. */
const bothSql = (sql: Sql) => sql`
  least(row_number() over (order by failed desc, ended desc, fact <> 'all'),
    row_number() over (order by ended desc, failed desc, fact <> 'all'))`

/** Characters of an error that count. */
const maxError = 300
/** Not within a name: after a letter or digit, or after one with a hyphen, as in `T3` and `SCN-05`. */
const alone = '(?<![A-Za-z0-9_][-./:]|[A-Za-z0-9_])'
const ids = String.raw`${alone}(?:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|0x[0-9a-f]+|(?=[0-9a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{4,})\M`
const numbers = `${alone}[0-9]+(?:[-.,:/T][0-9]+)*`

/**
 * The first line of an error without what differs between occurrences of one fault: the key of the
 * job, ids, hashes, times and numbers become `#`.
 */
const errorClassSql = (sql: Sql) => sql`
  btrim(regexp_replace(regexp_replace(
    replace(left(split_part(translate(ltrim(last_error, E' \t\r\n'), E'\r', E'\n'), E'\n', 1), ${maxError}),
      coalesce(job_key, ''), '#'),
    ${ids}, '#', 'gi'), ${numbers}, '#', 'g'))`
