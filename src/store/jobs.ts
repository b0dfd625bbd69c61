import { estimateBytes } from '../core/answer-size.ts'
import type { Job, JobFilter, Total } from '../core/job.ts'
import { must } from '../core/must.ts'
import type { Micros } from '../core/time.ts'
import { resolveApps } from './apps.ts'
import type { Baselines } from './baselines.ts'
import type { Store } from './connect.ts'
import type { Sql } from './driver.ts'
import { healthSql } from './health-sql.ts'
import {
  asJobRows,
  type JobRow,
  type JobTable,
  jobColumnsSql,
  jobFromRow,
  rowLength,
} from './job-rows.ts'
import {
  commonWhere,
  type Fragment,
  inWindow,
  joined,
  type Stretch,
  timeColumn,
  toCondition,
  toStretches,
} from './job-walks.ts'
import { Page, readPage } from './page.ts'
import { narrowWindow } from './rollups/narrow.ts'

/*
 * Lists of jobs and subjobs. Invariants:
 *
 * - A list is ordered by (time, id), both the same way, and a cursor is the last row's pair in
 *   microseconds: pages neither skip nor repeat a row while others arrive.
 * - A page is bounded in bytes as well, see page.ts.
 * - Work is bounded by the window (job-walks.ts): a walk goes along one index in the order of the list
 *   and stops at the limit. Hours that cannot have a row are left out (rollups/narrow.ts).
 */

/** The rows of a page; `more` is true when others follow. */
export type Found = { items: Job[]; more: boolean; total?: Total | undefined }

type Asked = { table: JobTable; filter: JobFilter; now: Micros }
/** With the names of the apps that the filter selects. */
type List = Asked & { apps: string[] | undefined }

/** Counting stops here. */
const maxCounted = 10_000

/**
 * @param now for what depends on it (stuck, lost)
 * @throws as {@link Store.ask}
 */
export async function findRows(
  store: Store,
  baselines: Baselines,
  asked: Asked,
  signal: AbortSignal,
): Promise<Found> {
  const apps = await resolveApps(store, asked.filter, signal)
  const list = { ...asked, apps }
  const isNone = apps?.length === 0
  const { limit } = asked.filter
  let page = new Page({ limit, toItem: toJob(list, baselines), sizeOf: estimateBytes })
  for await (const stretch of isNone ? [] : narrowed(store, list, signal)) {
    page = await readStretch(store, list, { stretch, page }, signal)
    if (page.more) break
  }
  const { items, more } = page
  const { flags, cursor } = asked.filter
  if (!flags) return { items, more }
  const isWhole = isNone || (!more && cursor === undefined)
  const total = isWhole
    ? { count: items.length, complete: true }
    : await countRows(store, list, signal)
  return { items, more, total }
}

/** The stretches of a list; that of its window is only of the hours that can have a row. */
async function* narrowed(store: Store, list: List, signal: AbortSignal): AsyncGenerator<Stretch> {
  for (const stretch of toStretches(list)) {
    if (stretch !== 'window') {
      yield stretch
      continue
    }
    // No status is both asked for and flagged.
    if (inWindow(list).length === 0) continue
    for await (const range of narrowWindow(store, list, signal)) {
      yield inWindow({ ...list, filter: { ...list.filter, ...range } })
    }
  }
}

/** What selected a row of a list with flags is what the row says, however old our baselines are. */
const toJob =
  ({ filter, now }: List, baselines: Baselines) =>
  (row: JobRow): Job => {
    const job = jobFromRow(row.slice(0, rowLength) as JobRow, baselines, now)
    if (!filter.flags) return job
    const [stuck, lost, late] = row.slice(rowLength) as unknown[]
    return { ...job, stuck: stuck === true, lost: lost === true, late: late === true }
  }

/** The page with the rows of one more stretch. */
function readStretch(
  store: Store,
  list: List,
  { stretch, page }: { stretch: Stretch; page: Page<JobRow, Job> },
  signal: AbortSignal,
): Promise<Page<JobRow, Job>> {
  const { table, filter } = list
  const op = { operation: table === 'job' ? 'findJobs' : 'findSubjobs', table }
  const room = filter.limit + 1 - page.items.length
  return readPage(
    store,
    op,
    (sql) => asJobRows(stretchQuery(sql, list, stretch, room)),
    page,
    signal,
  )
}

/** The column of the list's time, its order, and the comparison for "after this row". */
function keysOf(sql: Sql, table: JobTable, { time, order }: JobFilter) {
  const column = timeColumn(sql, time)
  const id = sql(`${table}_id`)
  const way = order === 'desc' ? sql`desc` : sql`asc`
  const behind = order === 'desc' ? sql`<` : sql`>`
  // Rows of ten minutes lie together in the index; within them they are sorted.
  const bin = time === 'seen' ? sql`seen_bin ${way},` : sql``
  const keys = sql`${column} ${way}, id ${way}`
  return { column, id, behind, inIndex: sql`order by ${bin} ${keys}`, order: sql`order by ${keys}` }
}

function stretchQuery(sql: Sql, list: List, stretch: Stretch, limit: number): Fragment {
  const { table, filter, now } = list
  const { column, id, behind, inIndex, order } = keysOf(sql, table, filter)
  const { cursor } = filter
  const health = filter.flags && healthSql(sql, table, now)
  const judged = health
    ? sql`, ${health.stuck} as stuck, ${health.lost} as lost, ${health.late} as late`
    : sql``
  const after = cursor ? sql`and (${column}, ${id}) ${behind} (${cursor.at}, ${cursor.id})` : sql``
  const t = sql(table)
  const walks = stretch.map(({ where, picked }) => {
    // "offset 0" keeps the planner from joining the two.
    const from = picked ? sql`(select * from ${t} where ${where(sql)} offset 0) ${t}` : t
    return sql`
      (select ${jobColumnsSql(sql, table)}${judged} from ${from} ${health?.join ?? sql``}
        where ${picked ? sql`true` : where(sql)} ${after} ${commonWhere(sql, list, health)}
        ${picked ? order : inIndex} limit ${limit})`
  })
  const [only, ...others] = walks
  if (only && others.length === 0) return sql`/* jobs.find */ ${only}`
  return sql`
    /* jobs.find */
    select * from (${joined(sql, walks, sql` union all `)}) found ${order} limit ${limit}`
}

/** How many rows a list with flags has on all its pages together. */
async function countRows(store: Store, list: List, signal: AbortSignal): Promise<Total> {
  const { table, now } = list
  const [row] = await store.ask<{ n: number }[]>(
    { operation: table === 'job' ? 'countJobs' : 'countSubjobs', table },
    (sql) => {
      const health = healthSql(sql, table, now)
      return sql`
        /* jobs.count */
        select count(*) as n from (
          select from ${sql(table)} ${health.join}
          where ${toCondition(list)(sql)} ${commonWhere(sql, list, health)} limit ${maxCounted + 1}) counted`
    },
    signal,
  )
  const { n } = must(row, 'a count is one row')
  return { count: Math.min(n, maxCounted), complete: n <= maxCounted }
}
