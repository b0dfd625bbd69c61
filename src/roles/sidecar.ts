import { ingestRoutes } from '../api/ingest.ts'
import { rejectRoutes } from '../api/rejects.ts'
import { toIngestLimits } from '../api/settings.ts'
import { StartTimes, withStartTimes } from '../core/start-times.ts'
import type { RoleContext, RoleReady, StartContext } from '../platform/role.ts'
import { describeSpool, setSpoolMetrics } from '../spool/report.ts'
import { Spool } from '../spool/spool.ts'
import { openAuth, serve } from './serve.ts'
import type { SidecarConfig } from './settings.ts'
import { openSinks, startDrain } from './sidecar-drains.ts'

/** Takes events over HTTP, makes them durable before it answers, and drains them to every sink. */
export async function startSidecar(
  config: SidecarConfig,
  context: StartContext,
): Promise<RoleReady> {
  const { life, metrics } = context
  const auth = openAuth(config, context)
  const sinks = openSinks(config, context)
  const spool = new Spool({
    dir: config.SPOOL_DIR,
    sinks: sinks.map((sink) => sink.name),
    maxBytes: config.SPOOL_MAX_BYTES,
    onCommit: () => metrics.spoolCommits.inc(),
  })
  life.onStop('spool', () => spool.close())
  logStart(spool, context)

  const drains = sinks.map((sink) => startDrain(sink, spool, config, context))
  const started = new StartTimes()
  const ingest = ingestRoutes({
    accept: withStartTimes((items) => spool.append(items), started),
    metrics,
    startOf: (id) => started.startOf(id),
    forwards: true,
    limits: toIngestLimits(config),
  })
  const rejects = rejectRoutes({
    list: (limit, beforeId) => spool.rejects(limit, beforeId),
    get: (id) => spool.reject(id),
    retry: (id) => spool.retryReject(id),
  })
  return serve(config, context, {
    auth,
    title: 'sidecar',
    name: 'sidecar',
    routes: [...ingest, ...rejects],
    check: () => describeSpool(spool, drains),
    refreshMetrics: () => setSpoolMetrics(metrics, spool, drains),
  })
}

function logStart({ report, dir, sourceId, epoch }: Spool, { log }: RoleContext): void {
  if (report.damaged) {
    log.error({ dir, ...report.damaged }, 'damaged spool set aside')
  }
  if (report.resetSinks.length > 0) {
    log.error({ dir, sinks: report.resetSinks }, 'invalid sink positions, delivering again')
  }
  log.info({ dir, source: sourceId, epoch, waiting: report.recovered }, 'spool open')
}
