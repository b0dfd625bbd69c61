import type { Store } from '../../src/store/connect.ts'
import { run } from './store.ts'

/** Every view and function of docs/store.md, as a person calls it. */
export const views = {
  system_health: 'select * from system_health',
  app_success_rates: 'select * from app_success_rates order by site_id, app_name',
  recent_failures: 'select * from recent_failures',
  performance_outliers: 'select * from performance_outliers',
  chunk_health: 'select * from chunk_health',
  database_size_overview: 'select * from database_size_overview',
  get_job_stats: `select * from get_job_stats(null, now() - interval '40 days', now() + interval '3 days')`,
  get_slowest_jobs: `select * from get_slowest_jobs('fab1', 5, 48)`,
  get_failure_analysis: 'select * from get_failure_analysis(null, 48)',
  get_slow_queries: 'select * from get_slow_queries(60000)',
  get_table_bloat: 'select * from get_table_bloat()',
  check_high_failure_rate: 'select * from check_high_failure_rate(50, 48)',
  check_no_activity: 'select * from check_no_activity(30)',
} as const
export type View = keyof typeof views

/** The rows of each. */
export async function callViews(store: Store) {
  const rows = {} as Record<View, Record<string, unknown>[]>
  for (const [name, statement] of Object.entries(views)) {
    rows[name as View] = [...(await run(store, statement))]
  }
  return rows
}
