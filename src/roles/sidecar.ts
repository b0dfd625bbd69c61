import { ingestRoutes } from '../api/ingest.ts'
import { rejectRoutes } from '../api/rejects.ts'
import { toIngestLimits } from '../api/settings.ts'
import { StartTimes, withStartTimes } from '../core/start-times.ts'
import type { EventCounts } from '../platform/effect.ts'
import { RecentCounts } from '../platform/recent-counts.ts'
import type { RoleContext, RoleReady, StartContext } from '../platform/role.ts'
import { type OpenSink, openSink, type SinkEntry } from '../sinks/index.ts'
import type { Drain } from '../spool/drain.ts'
import { describeSpool, logSpool, setSpoolMetrics, watchSpool } from '../spool/report.ts'
import { Spool } from '../spool/spool.ts'
import { openAuth, serve } from './serve.ts'
import type { SidecarConfig } from './settings.ts'
import { startDrain, startHeartbeats } from './sidecar-loops.ts'

/** Takes events over HTTP, makes them durable before it answers, and drains them to every sink. */
export async function startSidecar(
  config: SidecarConfig,
  context: StartContext,
): Promise<RoleReady> {
  const { life, metrics } = context
  // What waits in the spool is for this user alone.
  process.umask(0o077)
  const auth = openAuth(config, context)
  const sinks = openSinks(config, context)
  const spool = new Spool({
    dir: config.SPOOL_DIR,
    sinks: sinks.map((sink) => sink.name),
    maxBytes: config.SPOOL_MAX_BYTES,
    ...watchSpool(metrics, context.log),
    onDamage: (reason) => endDamaged(reason, config, context),
  })
  life.onStop('spool', () => spool.close())
  logSpool(spool, context.log)

  const drains: Drain[] = []
  const heartbeats = startHeartbeats(sinks, { spool, drains }, config, context)
  for (const sink of sinks) drains.push(startDrain(sink, spool, config, context))
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
  const rejects = rejectRoutes({
    list: (limit, beforeId) => spool.rejects.list(limit, beforeId),
    get: (id) => spool.rejects.get(id),
    retry: (id) => spool.retryReject(id),
    drop: (ids) => spool.rejects.drop(ids),
  })
  return serve(config, context, {
    auth,
    title: 'sidecar',
    name: 'sidecar',
    routes: [...ingest, ...rejects],
    check: () => describeSpool(spool, drains, recent),
    refreshMetrics: () => setSpoolMetrics(metrics, spool, drains),
  })
}

/** What can be read is carried over by the next start, which is the one of the supervisor. */
function endDamaged(reason: string, config: SidecarConfig, { log, life }: StartContext): void {
  log.fatal({ dir: config.SPOOL_DIR, reason }, 'spool found damaged, ending to be started again')
  process.exitCode = 1
  void life.stop(config.SHUTDOWN_TIMEOUT_S)
}

/** Opens everything that a sidecar delivers to. */
const openSinks = (config: SidecarConfig, { log }: RoleContext): OpenSink[] =>
  [defaultEntry(config)].map((entry) => openSink(entry, { log }))

/** The local API of the site, from the settings of the sidecar. */
const defaultEntry = (config: SidecarConfig): SinkEntry => ({
  type: 'local_api',
  name: 'local-api',
  config: {
    base_url: config.LOCAL_API_BASE,
    token: config.LOCAL_API_TOKEN,
    timeout_s: config.REQUEST_TIMEOUT_S,
  },
})
