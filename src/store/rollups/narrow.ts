import type { JobFilter } from '../../core/job.ts'
import { must } from '../../core/must.ts'
import { fromMs, type Micros, toMs } from '../../core/time.ts'
import { isUuid } from '../../core/uuid.ts'
import type { Store } from '../connect.ts'
import type { Sql } from '../driver.ts'
import type { JobTable } from '../job-rows.ts'
import { hourOf } from './read-hours.ts'

/*
 * The hours of a window in which a list can have a job, by what is made of hours: a search for a text that no hour has,
 * or for a duration that none reached, looks at no job. An hour that has changed since is one of them.
 */

/** Windows up to this are walked as they are. */
const shortMs = 2 * 3_600_000
const hourMs = 3_600_000
/** Hours that are looked for first: of what is found often the newest few fill the page. */
const firstHours = 4
/** A question for each: hours between them are read as well, rather than to ask more. */
const maxRanges = 16

export type Range = { from?: Micros | undefined; to?: Micros | undefined }
type List = { table: JobTable; filter: JobFilter; apps: string[] | undefined }

/** The parts of the window of a list, in its order, that can have a job of it; the window where nothing rules out any. */
export async function* narrowWindow(
  store: Store,
  list: List,
  signal: AbortSignal,
): AsyncGenerator<Range> {
  const { filter } = list
  const window = toBounds(filter)
  if (!canNarrow(list) || (window.to && window.from && spanOf(window) <= shortMs)) {
    yield { from: filter.from, to: filter.to }
    return
  }
  let rest: Range = window
  for (const limit of [firstHours, undefined]) {
    const hours = await findHours(store, { ...list, range: rest, limit }, signal)
    for (const range of toRanges(hours, filter.order)) yield clamp(range, filter)
    const last = hours.at(-1)
    if (last === undefined || limit === undefined || hours.length < limit) return
    rest = filter.order === 'desc' ? { ...rest, to: last } : { ...rest, from: endOf(last) }
  }
}

const canNarrow = ({ table, filter: { time, q, minDurationS, maxDurationS } }: List) =>
  table === 'job' &&
  (time === 'started' || time === 'active') &&
  (q !== undefined || minDurationS !== undefined || maxDurationS !== undefined)

const spanOf = ({ from, to }: Range) => toMs(to ?? '') - toMs(from ?? '')
const endOf = (hour: Micros): Micros => fromMs(toMs(hour) + hourMs)

/** Whole hours around the part of the window that a cursor has not left behind. */
function toBounds({ from, to, cursor, order }: JobFilter): Range {
  const isDown = order === 'desc'
  const start = cursor && !isDown && (from === undefined || cursor.at > from) ? cursor.at : from
  const end = cursor && isDown && (to === undefined || cursor.at < to) ? cursor.at : to
  return { from: start && hourOf(start), to: end && endOf(hourOf(end)) }
}

const clamp = ({ from, to }: { from: Micros; to: Micros }, window: Range): Range => ({
  from: window.from !== undefined && window.from > from ? window.from : from,
  to: window.to !== undefined && window.to < to ? window.to : to,
})

/** Hours in the order of a list as few ranges. */
export function toRanges(hours: readonly Micros[], order: JobFilter['order']) {
  const sorted = hours.map(toMs).sort((a, b) => a - b)
  const gaps = sorted.slice(1).map((ms, i) => ms - must(sorted[i], 'it comes before') - hourMs)
  const widest = gaps.filter((gap) => gap > 0).sort((a, b) => b - a)
  // Gaps that are shorter than these are read as well.
  const least = widest[maxRanges - 1] ?? 0
  const ranges: { from: Micros; to: Micros }[] = []
  for (const [i, ms] of sorted.entries()) {
    const last = ranges.at(-1)
    if (last && (gaps[i - 1] ?? 0) <= least) last.to = fromMs(ms + hourMs)
    else ranges.push({ from: fromMs(ms), to: fromMs(ms + hourMs) })
  }
  return order === 'desc' ? ranges.reverse() : ranges
}

type Asked = List & { range: Range; limit: number | undefined }

/** The texts of an hour are read one after the other, in the order of the list: so that a limit ends it. */
async function findHours(store: Store, asked: Asked, signal: AbortSignal): Promise<Micros[]> {
  const { filter, range, limit } = asked
  const rows = await store.ask<{ bucket: Micros }[]>(
    { operation: 'findHours', table: 'job_texts_hourly' },
    (sql) => {
      const within = (column: string) => sql`
        ${sql(column)} >= ${range.from ?? '-infinity'} and ${sql(column)} < ${range.to ?? 'infinity'}`
      return sql`
        /* jobs.findHours */
        with due as materialized (
          select distinct unnest(hours) as hour from rollup_due where entity_type = 'j'
          ${filter.q !== undefined && isUuid(filter.q) ? hourOfIdSql(sql, filter.q) : sql``}),
        hours as materialized (
          ${madeHoursSql(sql, asked)} and ${within('bucket')}
          union select hour from due where ${within('hour')})
        select bucket from (
          select bucket from hours order by bucket ${filter.order === 'desc' ? sql`desc` : sql``} offset 0) hours
        where ${filter.q === undefined ? sql`true` : hasTextSql(sql, filter.q)} ${limit === undefined ? sql`` : sql`limit ${limit}`}`
    },
    signal,
  )
  return rows.map(({ bucket }) => bucket)
}

/** The hours that have jobs, of a duration that is asked for. */
function madeHoursSql(sql: Sql, { filter, apps }: Asked) {
  const { minDurationS: min, maxDurationS: max, site } = filter
  if (min === undefined && max === undefined)
    return sql`select distinct bucket from job_texts_hourly where true`
  return sql`
    select distinct bucket from job_ends_hourly where timed > 0
    ${min === undefined ? sql`` : sql`and max_s >= ${min}`} ${max === undefined ? sql`` : sql`and min_s <= ${max}`}
    ${site === undefined ? sql`` : sql`and site_id = ${site}`}
    ${apps === undefined ? sql`` : sql`and app_name = any(${apps})`}`
}

const hasTextSql = (sql: Sql, q: string) => sql`(
  bucket = any(array(select hour from due))
  or (select true from job_texts_hourly t where t.bucket = hours.bucket and strpos(t.texts, lower(${q})) > 0 limit 1))`

/** A job is found by its id too. */
const hourOfIdSql = (sql: Sql, id: string) => sql`
  union select date_bin('1 hour', started_at, '2000-01-01T00:00:00Z') from job where job_id = ${id}::uuid`
