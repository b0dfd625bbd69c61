import { AppError } from '../core/errors.ts'
import { connect, type Pool } from './connect.ts'
import { readEdition } from './edition.ts'
import { openLease } from './lease.ts'
import { compressFrozen } from './rollups/compress.ts'
import { makeRollups } from './rollups/run-rollups.ts'
import { showStatus } from './run-status.ts'

export type MaintainOptions = { config: { DATABASE_URL: string }; json: boolean }

const op = { operation: 'maintain', table: 'none' }

/** Those in which rows are changed or deleted. */
const tables = [
  ...['job', 'subjob', 'event_late', 'source', 'source_state', 'live_batch', 'app', 'baseline'],
  ...['rollup_due', 'rollup_stale', 'job_stats_hourly', 'job_stats_counted', 'job_stats_gone'],
  ...[
    'job_ends_hourly',
    'job_facets_hourly',
    'job_texts_hourly',
    'event_stats_hourly',
    'event_stats_due',
  ],
]

/**
 * `wafermon db maintain`: vacuums and analyzes, makes what rollups are due, compresses what is frozen under the
 * Timescale licence, and shows the state, with its exit code. It may run beside a local API, which then makes the
 * rollups.
 *
 * @throws AppError with the remedy
 */
export async function runMaintain({ config, json }: MaintainOptions): Promise<void> {
  const store = connect(config.DATABASE_URL, { role: 'db', max: 1 })
  try {
    for (const table of tables) await vacuum(store, table)
    await store.ask(op, (sql) => sql`/* maintain.analyze */ analyze event`)
    const rollups = await roll(config.DATABASE_URL)
    await showStatus(store, json, { vacuumed: tables, rollups_made: rollups })
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, `wafermon db maintain: ${error.message}`)
  } finally {
    await store.close()
  }
}

const vacuum = (store: Pool, table: string) =>
  store.ask(op, (sql) => sql.unsafe(`/* maintain.vacuum */ vacuum (analyze) ${table}`))

/** @returns false when a local API makes them */
async function roll(url: string): Promise<boolean> {
  const lease = openLease(url, 'rollups', { role: 'db rollups' })
  const { signal } = new AbortController()
  try {
    if ((await lease.hold()) === undefined) return false
    await makeRollups(lease, signal)
    const { licence } = await lease.reader.run(op, readEdition)
    if (licence === 'tsl') await compressFrozen(lease.store, signal)
    return true
  } finally {
    await lease.close()
  }
}
