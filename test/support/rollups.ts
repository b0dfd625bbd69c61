import type { TestContext } from 'node:test'
import { must } from '../../src/core/must.ts'
import type { Store } from '../../src/store/connect.ts'
import { openLease } from '../../src/store/lease.ts'
import { makeRollups } from '../../src/store/rollups/run-rollups.ts'
import { run } from './store.ts'

const { signal } = new AbortController()

/** The lease of rollups, held; `make` makes all that is due. */
export async function openRollups(t: Pick<TestContext, 'after'>, url: string) {
  const lease = openLease(url, 'rollups', { role: 'rollups' })
  t.after(() => lease.close())
  const make = async () => {
    must(await lease.hold(), 'no other process has the lease')
    await makeRollups(lease, signal)
  }
  return { lease, make }
}

const tables = [
  ...[
    'job',
    'subjob',
    'event_late',
    'rollup_due',
    'rollup_stale',
    'job_stats_hourly',
    'job_stats_daily',
  ],
  ...[
    'job_stats_weekly',
    'job_stats_monthly',
    'job_stats_frozen',
    'job_stats_counted',
    'job_stats_gone',
  ],
  ...['job_ends_hourly', 'job_facets_hourly', 'job_texts_hourly', 'event_stats_due'],
  ...['event_stats_hourly', 'event_stats_daily', 'event_stats_weekly', 'event_stats_monthly'],
]

/** As after the migrations. Jobs that are truncated, not deleted, leave nothing for the rollups. */
export async function emptyStore(store: Store): Promise<void> {
  await run(store, `truncate ${tables.join(', ')}`)
  await run(store, 'delete from event')
}
