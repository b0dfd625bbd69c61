import { ingestRoutes } from '../api/ingest.ts'
import { toIngestLimits } from '../api/settings.ts'
import { StartTimes, withStartTimes } from '../core/start-times.ts'
import type { EventCounts } from '../platform/effect.ts'
import { RecentCounts } from '../platform/recent-counts.ts'
import type { RoleContext, RoleReady, StartContext } from '../platform/role.ts'
import { Heartbeats } from '../spool/heartbeats.ts'
import { describeSpool, logSpool, setSpoolMetrics, watchSpool } from '../spool/report.ts'
import { Spool } from '../spool/spool.ts'
import { openAuth, serve } from './serve.ts'
import type { SidecarConfig } from './settings.ts'
import { SinkReload } from './sidecar-reload.ts'
import { listEntries, SidecarSinks, toPlans } from './sidecar-sinks.ts'
import { spoolRoutes } from './spool-routes.ts'

/** Takes events over HTTP, makes them durable before it answers, and drains them to every sink. */
export async function startSidecar(
  config: SidecarConfig,
  context: StartContext<SidecarConfig>,
): Promise<RoleReady> {
  const { log, life, metrics } = context
  // What waits in the spool is for this user alone.
  process.umask(0o077)
  const reload = new SinkReload(context)
  const auth = openAuth(config, context)
  const entries = listEntries(config)
  const spool = new Spool({
    dir: config.SPOOL_DIR,
    sinks: toPlans(entries),
    maxBytes: config.SPOOL_MAX_BYTES,
    ...watchSpool(metrics, log),
    onDamage: (reason) => endDamaged(reason, config, context),
  })
  life.onStop('spool', () => spool.close())
  logSpool(spool, log)
  const drains = () => sinks.drains
  const maxBytes = config.SPOOL_MAX_BYTES
  const heartbeats = new Heartbeats({ spool, drains, maxBytes, log, metrics })
  const sinks = new SidecarSinks({ spool, heartbeats, config, context })
  await sinks.start(entries)
  reload.begin(sinks)

  const started = new StartTimes()
  const recent: EventCounts = new RecentCounts()
  const ingest = ingestRoutes({
    accept: heartbeats.noteSites(withStartTimes((items) => spool.append(items), started)),
    metrics,
    startOf: (entity) => started.startOf(entity),
    recent,
    forwards: true,
    limits: { ...toIngestLimits(config), siteZone: config.SITE_ZONE },
  })
  return serve(config, context, {
    auth,
    title: 'sidecar',
    name: 'sidecar',
    routes: [...ingest, ...spoolRoutes(spool, drains, log)],
    check: () => describeSpool(spool, drains(), recent, reload.refused),
    refreshMetrics: () => setSpoolMetrics(metrics, spool, drains()),
  })
}

/** What can be read is carried over by the next start, which is the one of the supervisor. */
function endDamaged(reason: string, config: SidecarConfig, { log, life }: RoleContext): void {
  log.fatal({ dir: config.SPOOL_DIR, reason }, 'spool found damaged, ending to be started again')
  process.exitCode = 1
  void life.stop(config.SHUTDOWN_TIMEOUT_S)
}
