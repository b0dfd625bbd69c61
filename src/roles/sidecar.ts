import type { Hono } from 'hono'
import { ingestRoutes } from '../api/ingest.ts'
import { ingestSpecs, rejectSpecs } from '../api/other-specs.ts'
import { rejectRoutes } from '../api/rejects.ts'
import { aboutRoutes } from '../api/role-routes.ts'
import { StartTimes } from '../core/start-times.ts'
import { Auth, refuseOpenDoor } from '../platform/auth.ts'
import type { SidecarConfig } from '../platform/config.ts'
import { addressOf, createApp, listen } from '../platform/http.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'
import { acceptInto, retryIn } from '../spool/accept.ts'
import type { Drain } from '../spool/drain.ts'
import { describeSpool, setSpoolMetrics } from '../spool/report.ts'
import { Spool } from '../spool/spool.ts'
import { ingestLimits } from './ingest-limits.ts'
import { openSinks, startDrain } from './sidecar-drains.ts'

/** Takes events over HTTP, makes them durable before it answers, and drains them to every sink. */
export async function startSidecar(
  config: SidecarConfig,
  context: RoleContext & { insecure: boolean },
): Promise<RoleReady> {
  const { log, life, metrics } = context
  const auth = new Auth({ tokensFile: config.TOKENS_FILE, anonymous: config.ALLOW_ANONYMOUS })
  refuseOpenDoor(config.HOST, auth, context.insecure)

  const sinks = openSinks(config, context)
  const spool = new Spool({
    dir: config.SPOOL_DIR,
    sinks: sinks.map((sink) => sink.name),
    maxBytes: config.SPOOL_MAX_BYTES,
    onCommit: () => metrics.spoolCommits.inc(),
  })
  life.onStop('spool', () => spool.close())
  reportStart(spool, context)

  const drains = sinks.map((sink) => startDrain(sink, spool, config, context))
  const started = new StartTimes()
  const app = createApp({ log, metrics })
  addRoutes(app, { config, spool, drains, auth, started, context })
  return { url: await listen(app, addressOf(config), life) }
}

function reportStart({ report, dir, sourceId, epoch }: Spool, { log }: RoleContext): void {
  if (report.damaged) {
    log.error({ dir, ...report.damaged }, 'damaged spool set aside')
  }
  if (report.resetSinks.length > 0) {
    log.error({ dir, sinks: report.resetSinks }, 'invalid sink positions, delivering again')
  }
  log.info({ dir, source: sourceId, epoch, waiting: report.recovered }, 'spool open')
}

type Parts = {
  config: SidecarConfig
  spool: Spool
  drains: Drain[]
  auth: Auth
  started: StartTimes
  context: RoleContext
}

function addRoutes(app: Hono, { config, spool, drains, auth, started, context }: Parts): void {
  const { metrics } = context
  app.route(
    '/',
    ingestRoutes({
      accept: (items) => acceptInto(spool, items, started),
      auth,
      metrics,
      startOf: (id) => started.startOf(id),
      limits: ingestLimits(config),
    }),
  )
  app.route(
    '/',
    rejectRoutes({
      auth,
      list: (limit, beforeId) => spool.rejects(limit, beforeId),
      get: (id) => spool.reject(id),
      retry: (id) => retryIn(spool, id),
    }),
  )
  app.route(
    '/',
    aboutRoutes({
      title: 'sidecar',
      auth,
      metrics,
      health: {
        service: config.SERVICE_NAME ?? 'sidecar',
        check: () => describeSpool(spool, drains),
      },
      routes: [...ingestSpecs, ...rejectSpecs],
      refreshMetrics: () => setSpoolMetrics(metrics, spool, drains),
    }),
  )
}
