import type { Hono } from 'hono'
import { ingestRoutes } from '../api/ingest.ts'
import { ingestSpecs, rejectSpecs } from '../api/other-specs.ts'
import { rejectRoutes } from '../api/rejects.ts'
import { aboutRoutes } from '../api/role-routes.ts'
import { StartTimes, withStartTimes } from '../core/start-times.ts'
import { Auth, refuseOpenDoor } from '../platform/auth.ts'
import { bareRoutes } from '../platform/bare-routes.ts'
import type { SidecarConfig } from '../platform/config.ts'
import { createApp } from '../platform/http.ts'
import { listen, toAddress } from '../platform/listen.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'
import type { Drain } from '../spool/drain.ts'
import { showIn, spoolHealth } from '../spool/report.ts'
import { Spool } from '../spool/spool.ts'
import { ingestLimits } from './ingest-limits.ts'
import { sinksOf, startDrain } from './sidecar-drains.ts'

/** Takes events over HTTP, makes them durable before it answers, and drains them to every sink. */
export async function startSidecar(
  config: SidecarConfig,
  context: RoleContext & { insecure: boolean },
): Promise<RoleReady> {
  const { log, life, metrics } = context
  const auth = new Auth({ tokensFile: config.TOKENS_FILE, anonymous: config.ALLOW_ANONYMOUS })
  refuseOpenDoor(config.HOST, auth, context.insecure)

  const sinks = sinksOf(config)
  const spool = new Spool({
    dir: config.SPOOL_DIR,
    sinks: sinks.map((sink) => sink.name),
    maxBytes: config.SPOOL_MAX_BYTES,
    onCommit: () => metrics.spoolCommits.inc(),
  })
  life.onStop('spool', () => spool.close())
  reportStart(spool, context)

  const drains = sinks.map((sink) => startDrain(sink, spool, config, context))
  const app = createApp({ log, metrics })
  const door = ingest(config, spool, auth, context)
  app.route('/', door.app)
  addRoutes(app, { config, spool, drains, auth, context })
  const bare = bareRoutes(door.bare, { log, metrics, auth })
  return { url: await listen(app, toAddress(config), life, bare) }
}

function reportStart({ report, dir, sourceId, epoch }: Spool, { log }: RoleContext): void {
  if (report.damaged) {
    log.error({ dir, ...report.damaged }, 'damaged spool set aside')
  }
  log.info({ dir, source: sourceId, epoch, waiting: report.recovered }, 'spool open')
}

function ingest(config: SidecarConfig, spool: Spool, auth: Auth, { metrics }: RoleContext) {
  const times = new StartTimes()
  return ingestRoutes({
    accept: withStartTimes((items) => spool.append(items), times),
    auth,
    metrics,
    startOf: (id) => times.startOf(id),
    limits: ingestLimits(config),
  })
}

type Parts = {
  config: SidecarConfig
  spool: Spool
  drains: Drain[]
  auth: Auth
  context: RoleContext
}

function addRoutes(app: Hono, { config, spool, drains, auth, context }: Parts): void {
  const { metrics } = context
  app.route(
    '/',
    rejectRoutes({
      auth,
      list: (limit, beforeId) => spool.rejects(limit, beforeId),
      get: (id) => spool.reject(id),
      retry: (id) => spool.retryReject(id),
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
        check: () => spoolHealth(spool, drains),
      },
      routes: [...ingestSpecs, ...rejectSpecs],
      refreshMetrics: () => showIn(metrics, spool, drains),
    }),
  )
}
