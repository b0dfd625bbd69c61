import { type CauseCount, type CausesFilter, maxCauses } from '../core/questions/causes.ts'
import { findAppNames } from './apps.ts'
import type { Store } from './connect.ts'
import type { Sql } from './driver.ts'

/**
 * Ended and failed jobs of a window by each value of each fact, most failures first. One walk over the
 * jobs that ended in the window, which counts them by all facts at the same time.
 */
export async function countCauses(
  store: Store,
  { from, to, recentFrom, minFailed, site, appName }: CausesFilter,
  signal: AbortSignal,
): Promise<CauseCount[]> {
  const apps = appName === undefined ? undefined : await findAppNames(store, appName, site, signal)
  return store.ask<CauseCount[]>(
    { operation: 'causes', table: 'job' },
    (sql) => sql`
      /* causes.count */
      with counted as (
        select case grouping(site_id, app_name, app_version, tool, chamber, recipe, host, error_type, error)
            when 511 then 'all' when 255 then 'site' when 383 then 'app' when 319 then 'version'
            when 479 then 'tool' when 463 then 'chamber' when 503 then 'recipe' when 507 then 'host'
            when 509 then 'error_type' when 510 then 'error' end as fact,
          site_id, app_name, app_version, tool, chamber, recipe, host, error_type, error,
          count(*) as ended, count(*) filter (where failed) as failed,
          count(*) filter (where recent) as recent_ended,
          count(*) filter (where failed and recent) as recent_failed
        from (
          select site_id, app_name, app_version, tool, chamber, recipe, host, error_type,
            status = 'failed' as failed, ended_at >= ${recentFrom} as recent,
            case when status = 'failed' then ${errorClassSql(sql)} end as error
          from job where ended_at >= ${from} and ended_at < ${to}
          ${site === undefined ? sql`` : sql`and site_id = ${site}`}
          ${apps === undefined ? sql`` : sql`and app_name = any(${apps})`}) ended
        group by grouping sets ((), (site_id), (app_name), (app_name, app_version), (tool),
          (tool, chamber), (recipe), (host), (error_type), (error))
        having count(*) filter (where failed) >= ${minFailed}
          or grouping(site_id, app_name, tool, recipe, host, error_type, error) = 127)
      select fact, coalesce(case fact when 'site' then site_id when 'app' then app_name
          when 'version' then app_version when 'tool' then tool when 'chamber' then chamber
          when 'recipe' then recipe when 'host' then host when 'error_type' then error_type
          when 'error' then error end, '') as value,
        case fact when 'version' then app_name when 'chamber' then tool end as of,
        ended, failed, recent_ended, recent_failed
      from counted
      where case fact when 'all' then true when 'version' then app_version <> ''
        when 'tool' then tool is not null when 'chamber' then chamber is not null
        when 'recipe' then recipe is not null when 'host' then host is not null
        when 'error_type' then error_type is not null when 'error' then error <> '' else true end
      order by failed desc, ended desc, fact <> 'all', fact, of nulls first, value limit ${maxCauses}`,
    signal,
  )
}

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
