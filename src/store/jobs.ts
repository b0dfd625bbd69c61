import type postgres from 'postgres'
import { estimateBytes, maxPageBytes } from '../core/answer-size.ts'
import type { Job, JobFilter, JobStatus } from '../core/job.ts'
import type { Micros } from '../core/time.ts'
import { escapeLike, findAppNames } from './apps.ts'
import type { Baselines } from './baselines.ts'
import type { Store } from './connect.ts'
import type { Sql } from './driver.ts'
import { type JobRow, type JobTable, jobColumnsSql, jobFromRow, readJobRows } from './job-rows.ts'

/*
 * Lists of jobs and subjobs. Invariants:
 *
 * - A list is ordered by (time, id), both the same way, and a cursor is the last row's pair in
 *   microseconds: pages neither skip nor repeat a row while others arrive.
 * - A page is bounded in bytes as well: its rows are read some at a time, and no further than they fit.
 * - Work is bounded by the window: every plan walks one index in the order of the list and stops at
 *   the limit. A filter that matches little gets a walk of its own where there is an index for it
 *   (one per status, one per app name), so that it need not walk past all that do not match.
 */

type Fragment = postgres.PendingQuery<postgres.Row[]>
/** The conditions of the walks of one question; no row meets two of them. */
type Branches = (sql: Sql) => Fragment[]

/** The rows of a page; `more` is true when others follow. */
export type Found = { items: Job[]; more: boolean }

/** More app names than this are a filter; fewer get a walk each. */
const maxAppBranches = 20

/**
 * @param now for what depends on it (stuck, lost)
 * @throws as {@link Store.ask}
 */
export async function findRows(
  store: Store,
  baselines: Baselines,
  { table, filter, now }: { table: JobTable; filter: JobFilter; now: Micros },
  signal: AbortSignal,
): Promise<Found> {
  const apps = await resolveApps(store, filter, signal)
  if (apps?.length === 0) return { items: [], more: false }
  let found: Found = { items: [], more: false }
  await store.ask(
    { operation: table === 'job' ? 'findJobs' : 'findSubjobs', table },
    (sql) => {
      const page = new Page(filter.limit, (row) => jobFromRow(row, baselines, now))
      found = page
      const question = pageQuery(sql, table, filter, branchesOf(table, filter, apps))
      return readJobRows(question, (rows) => (page.add(rows) ? undefined : sql.CLOSE))
    },
    signal,
  )
  return { items: found.items, more: found.more }
}

/** Jobs up to a limit and to the bytes of a page. */
class Page implements Found {
  readonly items: Job[] = []
  more = false
  readonly #limit: number
  readonly #toJob: (row: JobRow) => Job
  #bytes = 0

  constructor(limit: number, toJob: (row: JobRow) => Job) {
    this.#limit = limit
    this.#toJob = toJob
  }

  /** @returns false when it is full, and others would follow */
  add(rows: readonly JobRow[]): boolean {
    for (const row of rows) {
      const job = this.#toJob(row)
      this.#bytes += estimateBytes(job)
      const isFull = this.items.length === this.#limit || this.#bytes > maxPageBytes
      this.more = isFull && this.items.length > 0
      if (this.more) return false
      this.items.push(job)
    }
    return true
  }
}

/**
 * Exact names for what the filter says of apps; undefined when that narrows nothing. An app's id
 * does not give its name: old programs make an id for every run.
 */
async function resolveApps(store: Store, { appName, site }: JobFilter, signal: AbortSignal) {
  return appName === undefined ? undefined : findAppNames(store, appName, site, signal)
}

/** The column of the list's time, its order, and the comparison for "after this row". */
function keysOf(sql: Sql, table: JobTable, { time, order }: JobFilter) {
  const column = sql(
    { started: 'started_at', ended: 'ended_at', seen: 'last_event_at' }[time],
  ) as unknown as Fragment
  const id = sql(`${table}_id`)
  const way = order === 'desc' ? sql`desc` : sql`asc`
  const behind = order === 'desc' ? sql`<` : sql`>`
  // Rows of ten minutes lie together in the index; within them they are sorted.
  const bin = time === 'seen' ? sql`seen_bin ${way},` : sql``
  return { column, id, behind, order: sql`order by ${bin} ${column} ${way}, id ${way}` }
}

function pageQuery(sql: Sql, table: JobTable, filter: JobFilter, branches: Branches) {
  const { order } = keysOf(sql, table, filter)
  const where = commonWhere(sql, table, filter)
  const limit = filter.limit + 1
  const walks = branches(sql).map(
    (branch) => sql`
      (select ${jobColumnsSql(sql, table)} from ${sql(table)}
        where ${branch} ${where} ${order} limit ${limit})`,
  )
  const [only, ...others] = walks
  if (only && others.length === 0) return sql`/* jobs.find */ ${only}`
  return sql`
    /* jobs.find */
    select * from (${joined(sql, walks, sql` union all `)}) found ${order} limit ${limit}`
}

const joined = (sql: Sql, parts: Fragment[], between: Fragment): Fragment =>
  parts.reduce((all, part) => sql`${all}${between}${part}`)

/** Statuses that have an index of their own; together with `succeeded` they are all. */
const indexed: readonly JobStatus[] = ['running', 'failed', 'canceled']

function branchesOf(table: JobTable, filter: JobFilter, apps: string[] | undefined): Branches {
  const status = filter.status && [...new Set(filter.status)]
  const byStatus = (sql: Sql): Fragment =>
    status && status.length < 4 ? sql`status = any(${status})` : sql`true`
  // Only jobs have an index by app.
  if (apps && table === 'job' && filter.time === 'started' && apps.length <= maxAppBranches) {
    return (sql) => apps.map((app) => sql`app_name = ${app} and ${byStatus(sql)}`)
  }
  const ofApps = (sql: Sql): Fragment => (apps ? sql`app_name = any(${apps})` : sql`true`)
  if (status && filter.time === 'started' && status.every((one) => indexed.includes(one))) {
    return (sql) => status.map((one) => sql`status = ${one} and ${ofApps(sql)}`)
  }
  return (sql) => [sql`${byStatus(sql)} and ${ofApps(sql)}`]
}

function commonWhere(sql: Sql, table: JobTable, filter: JobFilter): Fragment {
  const { site, appId, businessKey, q, minDurationS, maxDurationS, jobId } = filter
  const parts: Fragment[] = [windowWhere(sql, table, filter)]
  if (site !== undefined) {
    // Asked once, before the walk: a site that is not here costs nothing.
    parts.push(sql`and site_id = ${site} and exists (select from app where site_id = ${site})`)
  }
  if (appId !== undefined) parts.push(sql`and app_id = ${appId}`)
  if (businessKey !== undefined) parts.push(sql`and job_key = ${businessKey}`)
  if (jobId !== undefined) parts.push(sql`and parent_id = ${jobId}`)
  if (minDurationS !== undefined) parts.push(sql`and duration_s >= ${minDurationS}`)
  if (maxDurationS !== undefined) parts.push(sql`and duration_s <= ${maxDurationS}`)
  if (q !== undefined) {
    const like = `%${escapeLike(q)}%`
    parts.push(sql`and (job_key ilike ${like} or sub_key ilike ${like}
      or app_name ilike ${like} or last_error ilike ${like})`)
  }
  return joined(sql, parts, sql` `)
}

/** `from` is included, `to` is not. */
function windowWhere(sql: Sql, table: JobTable, filter: JobFilter): Fragment {
  const { from, to, time, cursor } = filter
  const { column, id, behind } = keysOf(sql, table, filter)
  const parts: Fragment[] = []
  if (time === 'ended') parts.push(sql`and ended_at is not null`)
  if (from !== undefined) parts.push(sql`and ${column} >= ${from}`)
  if (to !== undefined) parts.push(sql`and ${column} < ${to}`)
  if (cursor) parts.push(sql`and (${column}, ${id}) ${behind} (${cursor.at}, ${cursor.id})`)
  if (time === 'seen') parts.push(...binWhere(sql, filter))
  return parts.length > 0 ? joined(sql, parts, sql` `) : sql``
}

/** The same bounds for the bins of ten minutes, which are what the index knows. */
function binWhere(sql: Sql, { from, to, cursor, order }: JobFilter): Fragment[] {
  const bin = (time: Micros) =>
    sql`date_bin('10 minutes', ${time}::timestamptz at time zone 'UTC', timestamp '2000-01-01')`
  const parts: Fragment[] = []
  if (from !== undefined) parts.push(sql`and seen_bin >= ${bin(from)}`)
  if (to !== undefined) parts.push(sql`and seen_bin <= ${bin(to)}`)
  if (cursor) {
    parts.push(
      order === 'desc'
        ? sql`and seen_bin <= ${bin(cursor.at)}`
        : sql`and seen_bin >= ${bin(cursor.at)}`,
    )
  }
  return parts
}
