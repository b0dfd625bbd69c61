import type postgres from 'postgres'
import { type Facts, factNames, searchedFacts } from '../core/facts.ts'
import { isOpen, type JobFilter, type JobStatus, openStatuses, statuses } from '../core/job.ts'
import { toStatuses } from '../core/job-filter.ts'
import type { Micros } from '../core/time.ts'
import { isUuid } from '../core/uuid.ts'
import type { Sql } from './driver.ts'
import type { HealthSql } from './health-sql.ts'
import { isOfLotSql, type JobTable, lotSql } from './job-rows.ts'

/*
 * How a list is found. Its rows come in stretches, one after the other in the order of the list; a
 * stretch is a union of walks, each along one index, that stop at the limit. No row is met by two walks.
 *
 *   time started, ended, seen   the window
 *   time active                 the window by the start; and what began before it: what runs or waits,
 *                               and what ended in the window
 *   with q                      before and after the window, the jobs whose key or id is exactly q
 *
 * So a page of the newest touches the window by the start alone, and every walk is bounded by the
 * window, by the jobs that have not ended, or by one key.
 */

export type Fragment = postgres.PendingQuery<postgres.Row[]>
type Where = (sql: Sql) => Fragment
/**
 * The condition of a walk. Few rows meet that of a `picked` one: they are found by it and then put in
 * order, where the planner would rather walk all rows in order and look for them.
 */
export type Walk = { where: Where; picked?: boolean }
export type Stretch = readonly Walk[]

type List = { table: JobTable; filter: JobFilter; apps: string[] | undefined }

/** More app names than this are a filter; fewer get a walk each. */
const maxAppWalks = 20

/** The stretches of a list in its order, but for those that a cursor has left behind; `window` for that of the window. */
export function toStretches(list: List): (Stretch | 'window')[] {
  const { filter } = list
  const { from, to, cursor, order } = filter
  const isBehind = (bound: Micros, side: 'before' | 'after') =>
    cursor !== undefined &&
    (side === 'after'
      ? order === 'desc' && cursor.at < bound
      : order === 'asc' && cursor.at >= bound)
  const after =
    to === undefined || isBehind(to, 'after') ? [] : exactly(list, outside(list, 'after'))
  const inside = from !== undefined && isBehind(from, 'after') ? [] : ('window' as const)
  const before = from === undefined || isBehind(from, 'before') ? [] : beforeWindow(list)
  const stretches = [after, inside, before].filter((walks) => walks.length > 0)
  return order === 'desc' ? stretches : stretches.reverse()
}

/** What all rows of a list meet, to count them. */
export const toCondition =
  ({ table, filter }: List): Where =>
  (sql) => {
    const list = { table, filter: { ...filter, cursor: undefined }, apps: undefined }
    const walks = [
      ...inWindow(list),
      ...beforeWindow(list),
      ...exactly(list, outside(list, 'after')),
    ]
    return sql`(${joined(
      sql,
      walks.map(({ where }) => sql`(${where(sql)})`),
      sql` or `,
    )})`
  }

/** Statuses that have an index of their own; together with `succeeded` they are all. */
const indexed: readonly JobStatus[] = statuses.filter((status) => status !== 'succeeded')

/** Each once. */
const statusesOf = (filter: JobFilter): JobStatus[] | undefined => {
  const some = toStatuses(filter)
  return some && [...new Set(some)]
}

/** A walk of its own for each value that has an index by it, so that it need not pass all others. */
export function inWindow(list: List): Stretch {
  const { table, filter, apps } = list
  const window: Where = (sql) => windowOf(sql, filter)
  const status = statusesOf(filter)
  const byStart = filter.time === 'started' || filter.time === 'active'
  // Only jobs have an index by app.
  if (apps && table === 'job' && byStart && apps.length <= maxAppWalks) {
    return apps.map((app) => ({ where: (sql) => sql`app_name = ${app} and ${window(sql)}` }))
  }
  if (status && filter.time !== 'seen' && status.every((one) => indexed.includes(one))) {
    return status.map((one) => ({ where: (sql) => sql`status = ${one} and ${window(sql)}` }))
  }
  return [{ where: window }]
}

/** What began before the window and belongs to it, and what is asked for by name. */
function beforeWindow(list: List): Stretch {
  const { filter } = list
  const { from, to, time } = filter
  const status = statusesOf(filter)
  if (from === undefined) return []
  const exact = exactly(list, outside(list, 'before'))
  if (time !== 'active') return exact
  const wants = (some: (one: JobStatus) => boolean) => status === undefined || status.some(some)
  const open = openStatuses
    .filter((one) => wants((wanted) => wanted === one))
    .map((one): Walk => ({ where: (sql) => sql`status = ${one} and started_at < ${from}` }))
  const ended = (where: Where): Walk => ({
    where: (sql) => sql`
      started_at < ${from} and ended_at >= ${from}
      ${to === undefined ? sql`` : sql`and ended_at < ${to}`} and ${where(sql)}`,
    picked: true,
  })
  return [
    ...open,
    ...(wants((one) => !isOpen(one)) ? [ended(isShort(from)), ended(isLong)] : []),
    ...exact,
  ]
}

/** A job of up to an hour that ends in a window and began before it ends in the window's first hour. */
const isShort =
  (from: Micros): Where =>
  (sql) =>
    sql`ended_at < ${from}::timestamptz + interval '1 hour' and ended_at - started_at <= interval '1 hour'`
/** These have an index of their own. */
const isLong: Where = (sql) => sql`ended_at - started_at > interval '1 hour'`

/** What lies on one side of the window and is not of the list by itself. */
const outside =
  ({ filter }: List, side: 'before' | 'after'): Where =>
  (sql) => {
    const { from, to, time } = filter
    const column = timeColumn(sql, time)
    if (side === 'after') return to === undefined ? sql`false` : sql`${column} >= ${to}`
    if (from === undefined) return sql`false`
    if (time !== 'active') return sql`${column} < ${from}`
    const bound = to === undefined ? sql`` : sql`and ended_at < ${to}`
    return sql`${column} < ${from} and ended_at is not null and not (ended_at >= ${from} ${bound})`
  }

/** The jobs whose key or id is exactly what is searched for. */
function exactly({ table, filter: { q } }: List, where: Where): Stretch {
  if (q === undefined) return []
  const pick = (one: Where): Walk => ({ where: one, picked: true })
  const byKey = pick((sql) => sql`${hasKey(sql, table, q)} and ${where(sql)}`)
  if (!isUuid(q)) return [byKey]
  const byId = pick(
    (sql) =>
      sql`${sql(`${table}_id`)} = ${q}::uuid and ${hasKey(sql, table, q)} is not true and ${where(sql)}`,
  )
  return [byKey, byId]
}

/** A subjob without a business key has that of the job above it. */
const hasKey = (sql: Sql, table: JobTable, key: string): Fragment =>
  table === 'job' ? sql`job_key = ${key}` : isOfLotSql(sql, key)

/** The column that a list is windowed and ordered by. */
export const timeColumn = (sql: Sql, time: JobFilter['time']) =>
  sql(
    { active: 'started_at', started: 'started_at', ended: 'ended_at', seen: 'last_event_at' }[time],
  ) as unknown as Fragment

/** `from` is included, `to` is not. */
function windowOf(sql: Sql, { from, to, time, order, cursor }: JobFilter): Fragment {
  const column = timeColumn(sql, time)
  const parts: Fragment[] = [time === 'ended' ? sql`ended_at is not null` : sql`true`]
  if (from !== undefined) parts.push(sql`${column} >= ${from}`)
  if (to !== undefined) parts.push(sql`${column} < ${to}`)
  if (time === 'seen') {
    // The same bounds for the bins of ten minutes, which are what the index knows.
    if (from !== undefined) parts.push(sql`seen_bin >= ${bin(sql, from)}`)
    if (to !== undefined) parts.push(sql`seen_bin <= ${bin(sql, to)}`)
    if (cursor && order === 'desc') parts.push(sql`seen_bin <= ${bin(sql, cursor.at)}`)
    if (cursor && order === 'asc') parts.push(sql`seen_bin >= ${bin(sql, cursor.at)}`)
  }
  return joined(sql, parts, sql` and `)
}

const bin = (sql: Sql, time: Micros) =>
  sql`date_bin('10 minutes', ${time}::timestamptz at time zone 'UTC', timestamp '2000-01-01')`

export const joined = (sql: Sql, parts: readonly Fragment[], between: Fragment): Fragment => {
  const [first, ...others] = parts
  return others.reduce((all, part) => sql`${all}${between}${part}`, first ?? sql`true`)
}

const ofApps = (sql: Sql, apps: string[] | undefined): Fragment =>
  apps ? sql`app_name = any(${apps})` : sql`true`

/**
 * The conditions that every row of a list meets, besides the window: `and ...`.
 *
 * @param health of a list with flags
 */
export function commonWhere(sql: Sql, { table, filter, apps }: List, health?: HealthSql): Fragment {
  const { site, appId, businessKey, q, minDurationS, maxDurationS, jobId, parent } = filter
  const { minAttempts = 1 } = filter
  const parts: Fragment[] = [sql`and ${ofApps(sql, apps)}`]
  const status = statusesOf(filter)
  if (status && status.length < statuses.length) parts.push(sql`and status = any(${status})`)
  if (site !== undefined) {
    // Asked once, before the walk: a site that is not here costs nothing.
    parts.push(sql`and site_id = ${site} and exists (select from app where site_id = ${site})`)
  }
  if (filter.appVersion !== undefined) {
    parts.push(sql`and app_version = ${filter.appVersion}`)
    // The condition of the index.
    if (filter.appVersion !== '') parts.push(sql`and app_version <> ''`)
  }
  if (appId !== undefined) parts.push(sql`and app_id = ${appId}`)
  if (businessKey !== undefined) parts.push(sql`and ${hasKey(sql, table, businessKey)}`)
  if (jobId !== undefined) parts.push(sql`and parent_id = ${jobId}`)
  if (parent === 'missing') parts.push(sql`and subjob_id in (select subjob_id from orphan)`)
  if (filter.facts) parts.push(factsSql(sql, filter.facts))
  // The first condition is that of an index.
  if (minAttempts > 1) parts.push(sql`and attempt > 1 and attempt >= ${minAttempts}`)
  if (minDurationS !== undefined) parts.push(sql`and duration_s >= ${minDurationS}`)
  if (maxDurationS !== undefined) parts.push(sql`and duration_s <= ${maxDurationS}`)
  if (q !== undefined) parts.push(sql`and ${matchesText(sql, table, q)}`)
  if (filter.flags && health) {
    const any = filter.flags.map((flag) => health[flag])
    parts.push(sql`and (${joined(sql, any, sql` or `)})`)
  }
  return joined(sql, parts, sql` `)
}

/** The conditions of facts: `and ...`, or nothing. */
export function factsSql(sql: Sql, facts: Facts): Fragment {
  const parts = factNames.flatMap((name) => {
    const wanted = facts[name]
    return wanted === undefined ? [] : [sql`and ${sql(name)} = ${wanted}`]
  })
  return parts.length === 0 ? sql`` : joined(sql, parts, sql` `)
}

/** All texts as one, in lower case: a fifth of the cost of a comparison each. */
function matchesText(sql: Sql, table: JobTable, q: string): Fragment {
  const found = sql`strpos(lower(${searched(sql, table)}), lower(${q})) > 0`
  return isUuid(q) ? sql`(${found} or ${sql(`${table}_id`)} = ${q}::uuid)` : found
}

/** Between texts stands a character that no search has: a query with it finds nothing. */
const searched = (sql: Sql, table: JobTable) =>
  sql`concat_ws(chr(31), ${table === 'job' ? sql`job_key` : lotSql(sql)}, sub_key, app_name, last_error, ${sql(searchedFacts)})`
