import type { JobFilter, Position } from '../../core/job.ts'
import { fromMs, type Micros, toMs } from '../../core/time.ts'
import { isUuid } from '../../core/uuid.ts'
import type { Store } from '../connect.ts'
import type { Sql } from '../driver.ts'
import { type Fragment, joined } from '../job-walks.ts'
import { type JobKind, nearDays } from './jobs-sql.ts'
import { isOfLotArchivedSql } from './lots.ts'

/*
 * Where the rows of a list lie in the archive that the hot store does not have any more. A file has the jobs of a day, by
 * their end, and a list may go by their start or their last event: most are *near* that day and are found by it; of the
 * *far* ones the table has the time. Both come in the order of the list, from its cursor on, so that a reader knows from
 * which time on it has seen everything.
 */

/** A day of a site with jobs that only the archive has. */
export type ArchivedDay = { day: string; site: string }

/** A job that is far from its day: its place in the list, and where it lies. */
export type FarJob = Position & ArchivedDay

export type ArchivedList = { kind: JobKind; filter: JobFilter }

const op = (operation: string) => ({ operation, table: 'archived_job' })

/**
 * Days that may have near jobs of a list, in its order, and by site within one.
 *
 * @param after the day before
 * @throws as {@link Store.ask}
 */
export async function findDays(
  store: Store,
  list: ArchivedList,
  after: ArchivedDay | undefined,
  limit: number,
  signal: AbortSignal,
): Promise<ArchivedDay[]> {
  const { filter } = list
  const rows = await store.ask<ArchivedDay[]>(
    op('findArchivedDays'),
    (sql) => {
      const found = isPicked(filter) ? pickedDays(sql, list, after) : everyDay(sql, list, after)
      const site = filter.site === undefined ? sql`true` : sql`site_id = ${filter.site}`
      return sql`
        /* archive.findDays */
        ${found} select day::text as day, site_id as site from found where ${site}
        order by day ${way(sql, filter)}, site_id ${way(sql, filter)} limit ${limit}`
    },
    signal,
  )
  return [...rows]
}

const way = (sql: Sql, { order }: JobFilter) => (order === 'desc' ? sql`desc` : sql`asc`)
const beyond = (sql: Sql, { order }: JobFilter) => (order === 'desc' ? sql`<` : sql`>`)

/** True when few jobs are wanted, which an index finds. */
const isPicked = ({ businessKey, jobId }: JobFilter) =>
  businessKey !== undefined || jobId !== undefined

/** The days of these jobs. */
function pickedDays(sql: Sql, list: ArchivedList, after: ArchivedDay | undefined): Fragment {
  const { kind, filter } = list
  return sql`
    with found as (
      select distinct day, site_id from archived_job a
      where kind = ${kind} and deleted ${ofFilter(sql, list)} ${rest(sql, filter, after)}
        and ${withinDays(sql, filter)})`
}

/** A hop along the index from each day to the next, and the days of what is searched for by name. */
function everyDay(sql: Sql, list: ArchivedList, after: ArchivedDay | undefined): Fragment {
  const { kind, filter } = list
  const next = (where: Fragment) => sql`
    select day, site_id from archived_job
    where kind = ${kind} and deleted and ${withinDays(sql, filter)} ${where}
    order by day ${way(sql, filter)}, site_id ${way(sql, filter)} limit 1`
  const named =
    filter.q === undefined
      ? sql``
      : sql`
    union select day, site_id from archived_job a
    where kind = ${kind} and deleted and ${isExactlySql(sql, kind, filter.q)} ${rest(sql, filter, after)}`
  return sql`
    with recursive step (day, site_id) as (
      (${next(rest(sql, filter, after))})
      union all
      select n.day, n.site_id from step, lateral (
        ${next(sql`and (day, site_id) ${beyond(sql, filter)} (step.day, step.site_id)`)}) n),
    found as (select day, site_id from step ${named})`
}

const rest = (sql: Sql, filter: JobFilter, after: ArchivedDay | undefined): Fragment =>
  after === undefined
    ? sql``
    : sql`and (day, site_id) ${beyond(sql, filter)} (${after.day}::date, ${after.site})`

/** The first and last day on which near jobs of a list may lie. */
function withinDays(sql: Sql, filter: JobFilter): Fragment {
  const { first, last } = boundsOf(filter)
  const parts = [
    ...(first === undefined ? [] : [sql`day >= ${first}::date`]),
    ...(last === undefined ? [] : [sql`day <= ${last}::date`]),
  ]
  return joined(sql, parts.length > 0 ? parts : [sql`true`], sql` and `)
}

/** How far from its day the time is by which a list goes, when it is near. */
export const nearOf = (time: JobFilter['time']) =>
  time === 'ended' ? { first: 0, last: 0 } : nearDays[time === 'seen' ? 'seen' : 'started']

/** The rest of the window, as days. What ended in the window of `active` lies on its days. */
function boundsOf({ from, to, time, order, cursor }: JobFilter) {
  const { first, last } = nearOf(time)
  const isDown = order === 'desc'
  const start = isDown ? from : latest(from, time === 'active' ? undefined : cursor?.at, cursor?.at)
  const end = isDown ? earliest(to, cursor?.at) : to
  return {
    first: start === undefined ? undefined : dateOf(start, -last),
    last: end === undefined ? undefined : dateOf(end, first),
  }
}

const latest = (...times: (Micros | undefined)[]) =>
  times
    .flatMap((one) => one ?? [])
    .reduce<Micros | undefined>((a, b) => (a && a > b ? a : b), undefined)
const earliest = (...times: (Micros | undefined)[]) =>
  times
    .flatMap((one) => one ?? [])
    .reduce<Micros | undefined>((a, b) => (a && a < b ? a : b), undefined)

const dayMs = 86_400_000

/** `2026-03-01`, some days later. */
export const dateOf = (time: Micros, days = 0): string =>
  fromMs(toMs(`${time.slice(0, 10)}T00:00:00.000000Z`) + days * dayMs).slice(0, 10)

/**
 * Jobs of a list that are far from their day, in its order, after its cursor.
 *
 * @throws as {@link Store.ask}
 */
export async function findFarJobs(
  store: Store,
  list: ArchivedList,
  after: Position | undefined,
  limit: number,
  signal: AbortSignal,
): Promise<FarJob[]> {
  const { kind, filter } = list
  const { time, q } = filter
  if (time === 'ended') return []
  const rows = await store.ask<FarJob[]>(
    op('findFarJobs'),
    (sql) => {
      const column = sql(time === 'seen' ? 'seen_at' : 'started_at')
      const next = after
        ? sql`and (${column}, id) ${beyond(sql, filter)} (${after.at}, ${after.id})`
        : sql``
      const window = windowSql(sql, filter)
      const wanted = q === undefined ? window : sql`(${window} or ${isExactlySql(sql, kind, q)})`
      const site = filter.site === undefined ? sql`` : sql`and site_id = ${filter.site}`
      return sql`
        /* archive.findFarJobs */
        select ${column} as at, id, day::text as day, site_id as site from archived_job a
        where kind = ${kind} and deleted and ${column} is not null ${next} and ${wanted} ${site}
          ${ofFilter(sql, list)}
        order by ${column} ${way(sql, filter)}, id ${way(sql, filter)} limit ${limit}`
    },
    signal,
  )
  return [...rows]
}

function windowSql(sql: Sql, { from, to, time }: JobFilter): Fragment {
  const column = sql(time === 'seen' ? 'seen_at' : 'started_at')
  const parts: Fragment[] = [sql`true`]
  if (to !== undefined) parts.push(sql`${column} < ${to}`)
  if (from !== undefined && time !== 'active') parts.push(sql`${column} >= ${from}`)
  // What began before the window of "active" ended in it, on one of its days.
  if (from !== undefined && time === 'active') {
    parts.push(sql`(${column} >= ${from} or day >= ${dateOf(from)}::date)`)
  }
  return joined(sql, parts, sql` and `)
}

/** The conditions that the table can tell: `and ...`. */
function ofFilter(sql: Sql, { kind, filter: { businessKey, jobId } }: ArchivedList): Fragment {
  const parts: Fragment[] = [sql``]
  if (businessKey !== undefined) parts.push(sql`and ${hasKeySql(sql, kind, businessKey)}`)
  if (jobId !== undefined) parts.push(sql`and a.parent_id = ${jobId}`)
  return joined(sql, parts, sql` `)
}

/** A subjob without a business key has that of the job above it. */
const hasKeySql = (sql: Sql, kind: JobKind, key: string): Fragment =>
  kind === 'job' ? sql`a.job_key = ${key}` : isOfLotArchivedSql(sql, key)

const isExactlySql = (sql: Sql, kind: JobKind, q: string): Fragment =>
  isUuid(q) ? sql`(${hasKeySql(sql, kind, q)} or a.id = ${q}::uuid)` : hasKeySql(sql, kind, q)
