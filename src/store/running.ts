import { mostJudged, type Running, type runningQuestion } from '../core/questions/running.ts'
import { clock } from '../platform/clock.ts'
import { resolveApps } from './apps.ts'
import type { Store } from './connect.ts'
import { healthSql } from './health-sql.ts'

type Params = Parameters<typeof runningQuestion.toQuery>[0]

/**
 * Judges every running job where it lies, and finds what waits past its time: a walk of each, none of it leaves
 * the database.
 */
export async function countRunning(
  store: Store,
  { site, appName, exactApp }: Params,
  signal: AbortSignal,
): Promise<Running[]> {
  const apps = await resolveApps(store, { appName, exactApp, site }, signal)
  if (apps?.length === 0) return []
  const rows = await store.ask<(Running & { judged: number; waiting: number })[]>(
    { operation: 'countRunning', table: 'job' },
    (sql) => {
      const now = clock.now()
      const { join, lost, stuck, late, lostIsKnown, stuckIsKnown } = healthSql(sql, 'job', now)
      const ofThose = sql`
        ${site === undefined ? sql`` : sql`and site_id = ${site}`}
        ${apps === undefined ? sql`` : sql`and app_name = any(${apps})`}
        order by started_at desc limit ${mostJudged + 1}`
      return sql`
        /* running.count */
        select site_id, count(*) filter (where runs) as running, count(*) filter (where lost) as lost,
          count(*) filter (where stuck) as stuck, count(*) filter (where late) as late,
          count(*) filter (where late and not runs) as late_queued,
          count(*) filter (where lost or stuck or late) as flagged,
          count(*) filter (where not lost_known) as lost_not_judged,
          count(*) filter (where not stuck_known and not lost) as stuck_not_judged,
          (sum(count(*) filter (where runs)) over ())::float8 as judged,
          (sum(count(*) filter (where not runs)) over ())::float8 as waiting
        from (
          (select site_id, true as runs, ${lost} as lost, ${stuck} as stuck, ${late} as late,
              ${lostIsKnown} as lost_known, ${stuckIsKnown} as stuck_known
            from job ${join}
            where status = 'running' ${ofThose})
          union all
          (select site_id, false, false, false, true, true, true
            from job
            where status = 'queued' and due_at < ${now} ${ofThose})) judged
        group by site_id order by site_id`
    },
    signal,
  )
  return rows.map(({ judged, waiting, ...row }) => ({
    ...row,
    complete: judged <= mostJudged && waiting <= mostJudged,
  }))
}
