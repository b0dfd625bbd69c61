import type { HealthReport } from '../api/health.ts'
import { Archiver, type ArchiverState } from '../archive/archiver.ts'
import { openPlace } from '../archive/places/index.ts'
import type { Place } from '../archive/places/place.ts'
import type { RoleReady, StartContext } from '../platform/role.ts'
import { connect, type Store } from '../store/connect.ts'
import { openLease } from '../store/lease.ts'
import { openAuth, serve } from './serve.ts'
import type { ArchiverConfig } from './settings.ts'

/** Writes closed hours to the archive as Parquet, oldest first, and drops raw events that are archived and old. */
export async function startArchiver(
  config: ArchiverConfig,
  context: StartContext,
): Promise<RoleReady> {
  const { log, life, metrics } = context
  const auth = openAuth(config, context)
  // Its connection makes this the only archiver.
  const lease = openLease(config.DATABASE_URL, 'archive', { role: 'archiver', metrics })
  life.onStop('database', () => lease.close())
  // Health uses another one: the first is busy for as long as an hour takes.
  const probe = connect(config.DATABASE_URL, { role: 'archiver health', max: 1, timeoutS: 2 })
  life.onStop('database of health', () => probe.close())

  const place = openPlace(config)
  const archiver = new Archiver({
    lease,
    place,
    site: config.SITE_ID,
    intervalMs: config.ARCHIVE_INTERVAL_HOURS * 3_600_000,
    retentionHours: config.RETENTION_HOURS,
    log,
    metrics,
    signal: life.signal,
  })
  const running = archiver.run()
  life.onStop('archiving', () => running)

  return serve(config, context, {
    auth,
    title: 'archiver',
    name: 'archiver',
    routes: [],
    check: () => health(archiver.state, probe, place),
  })
}

/**
 * Ready while the archive and the database are available and the last round was finished. Hours that
 * fail by themselves, and an archive that does not match what is to be dropped, only make it
 * degraded; another archiver at work is not a problem.
 */
async function health(state: ArchiverState, probe: Store, place: Place): Promise<HealthReport> {
  const trouble = (await findTrouble(probe, place)) ?? state.trouble
  return {
    ready: trouble === undefined,
    status: state.failed.length > 0 || state.held?.wrong ? 'degraded' : 'ok',
    archive_dir: place.address,
    here: state.here,
    hours_archived: state.hours,
    unsettled_hours: state.unsettled,
    failed_hours: state.failed.length,
    failures: state.failed.slice(0, maxNamed),
    ...(state.held ? { retention_waits: state.held.why } : {}),
    last_run_at: state.lastRunAt,
    ...(trouble === undefined ? {} : { trouble }),
  }
}

/** Maximum failed hours that are named. */
const maxNamed = 10

/** Looks by itself: the next round may be an hour away. */
async function findTrouble(probe: Store, place: Place): Promise<string | undefined> {
  const op = { operation: 'probe', table: 'none' }
  try {
    await place.check('write')
    await probe.ask(op, (sql) => sql`/* archiver.health */ select 1`, AbortSignal.timeout(3000))
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
