import type { Hono } from 'hono'
import { aboutRoutes } from '../api/about.ts'
import type { HealthReport } from '../api/health.ts'
import { type Admitted, type IngestVerdict, ingestRoutes } from '../api/ingest.ts'
import { ingestSpecs, rejectSpecs } from '../api/other-specs.ts'
import { rejectRoutes } from '../api/rejects.ts'
import { AppError } from '../core/errors.ts'
import { isTick } from '../core/event.ts'
import { StartedMemory } from '../core/started-memory.ts'
import { toMicros, toMs } from '../core/time.ts'
import { Auth, refuseOpenDoor } from '../platform/auth.ts'
import type { SidecarConfig } from '../platform/config.ts'
import { createApp, listen } from '../platform/http.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'
import { inSpan } from '../platform/tracing.ts'
import { localApiSink } from '../sinks/local-api.ts'
import type { Sink } from '../sinks/sink.ts'
import { Drain } from '../spool/drain.ts'
import { type Append, type AppendVerdict, eventKey, Spool } from '../spool/spool.ts'

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
  const started = new StartedMemory()
  const app = createApp({ log, metrics })
  addRoutes(app, { config, spool, drains, auth, started, context })
  const url = await listen(
    app,
    {
      host: config.HOST,
      port: config.PORT,
      tls: { cert: config.TLS_CERT, key: config.TLS_KEY, ca: config.TLS_CA },
      readTimeoutMs: config.REQUEST_READ_TIMEOUT_S * 1000,
    },
    life,
  )
  return { url }
}

const sinksOf = (config: SidecarConfig): Sink[] => [
  localApiSink({
    baseUrl: config.LOCAL_API_BASE,
    token: config.LOCAL_API_TOKEN,
    timeoutMs: config.REQUEST_TIMEOUT_S * 1000,
  }),
]

function reportStart({ report, dir, sourceId, epoch }: Spool, { log }: RoleContext): void {
  if (report.damaged) {
    log.error({ dir, ...report.damaged }, 'damaged spool set aside')
  }
  log.info({ dir, source: sourceId, epoch, waiting: report.recovered }, 'spool open')
}

function startDrain(sink: Sink, spool: Spool, config: SidecarConfig, context: RoleContext): Drain {
  const { log, life, metrics } = context
  const drain = new Drain({
    spool,
    sink: sink.name,
    deliver: (batch, signal) =>
      inSpan(
        'sidecar.deliver',
        { 'wafermon.sink': sink.name, 'wafermon.events': batch.length },
        () => sink.deliver(batch, signal),
      ),
    batchSize: config.MAX_BATCH_SIZE,
    idleMs: config.DRAIN_INTERVAL_S * 1000,
    log,
    metrics,
  })
  const running = drain.run(life.signal)
  life.onStop(`drain ${sink.name}`, () => running)
  return drain
}

type Parts = {
  config: SidecarConfig
  spool: Spool
  drains: Drain[]
  auth: Auth
  started: StartedMemory
  context: RoleContext
}

function addRoutes(app: Hono, { config, spool, drains, auth, started, context }: Parts): void {
  const { metrics } = context
  app.route(
    '/',
    ingestRoutes({
      accept: (items) => accept(items, spool, started),
      auth,
      metrics,
      startOf: (id) => started.startOf(id),
      limits: {
        maxBytes: config.MAX_BODY_BYTES,
        maxDecompressedBytes: config.MAX_DECOMPRESSED_BYTES,
        readTimeoutMs: config.REQUEST_READ_TIMEOUT_S * 1000,
        maxBatchItems: config.MAX_BATCH_ITEMS,
        maxEventBytes: config.MAX_EVENT_BYTES,
        maxSkewS: config.MAX_SKEW_S,
      },
    }),
  )
  app.route(
    '/',
    rejectRoutes({
      auth,
      list: (limit, beforeId) => spool.rejects(limit, beforeId),
      get: (id) => spool.reject(id),
      retry: (id) => retry(id, spool),
    }),
  )
  app.route(
    '/',
    aboutRoutes({
      title: 'sidecar',
      auth,
      metrics,
      health: { service: config.SERVICE_NAME ?? 'sidecar', check: () => health(spool, drains) },
      routes: [...ingestSpecs, ...rejectSpecs],
      refreshMetrics: () => refresh(spool, drains, context),
    }),
  )
}

/** Appends to the spool. @throws AppError overloaded when the disk fails; nothing was kept then */
async function accept(
  items: readonly Admitted[],
  spool: Spool,
  started: StartedMemory,
): Promise<IngestVerdict[]> {
  const verdicts = await spool.append(items.map(toAppend)).catch((cause: unknown) => {
    throw unwritable(cause)
  })
  return verdicts.map((verdict, i) => {
    if (verdict === 'stored') started.see(items[i]!.event)
    return verdictOf(verdict, spool)
  })
}

function retry(id: number, spool: Spool): boolean {
  try {
    return spool.retryReject(id)
  } catch (error) {
    throw unwritable(error)
  }
}

const unwritable = (cause: unknown) =>
  new AppError('overloaded', 'the spool cannot be written', { cause, retryAfterS: 5 })

/** The sender's own time is part of the identity: a correction differs from one retry to the next. */
function toAppend({ event, json }: Admitted): Append {
  const { idempotency_key, event: body, received_at, source } = event
  return {
    key: eventKey(idempotency_key, toMicros(body.reported_at ?? body.at)),
    body: json,
    receivedMs: Math.floor(toMs(received_at)),
    tick: isTick(body.kind),
    stamped: !!source,
  }
}

function verdictOf(verdict: AppendVerdict, spool: Spool): IngestVerdict {
  if (verdict === 'shed') {
    return {
      kind: 'later',
      detail: 'the spool is filling up: no progress and metric events for now',
    }
  }
  if (verdict === 'full') return { kind: 'later', detail: spool.trouble ?? 'the spool is full' }
  return { kind: verdict }
}

/** Ready while it can keep events; a local API that is away only makes it degraded. */
function health(spool: Spool, drains: readonly Drain[]): HealthReport {
  const trouble = spool.trouble
  const sinks = Object.fromEntries(drains.map((drain) => [drain.sink, sinkHealth(spool, drain)]))
  const failing = drains.some((drain) => drain.state.failures > 0)
  const { damaged } = spool.report
  return {
    ready: trouble === undefined,
    status: failing || damaged ? 'degraded' : 'ok',
    spool_count: spool.count,
    spool_dir: spool.dir,
    spool_bytes: spool.bytes,
    source: { id: spool.sourceId, epoch: spool.epoch },
    sinks,
    ...(trouble ? { trouble } : {}),
    ...(damaged ? { damaged } : {}),
  }
}

function sinkHealth(spool: Spool, { sink, state }: Drain) {
  const oldest = spool.oldestMs(sink)
  return {
    lag_events: spool.lag(sink),
    lag_s: oldest === undefined ? 0 : Math.max(0, (Date.now() - oldest) / 1000),
    failures: state.failures,
    ...(state.reason ? { reason: state.reason } : {}),
    rejects: spool.countRejects().find((row) => row.sink === sink)?.count ?? 0,
  }
}

function refresh(spool: Spool, drains: readonly Drain[], { metrics }: RoleContext): void {
  const age = (ms: number | undefined) =>
    ms === undefined ? 0 : Math.max(0, Date.now() - ms) / 1000
  metrics.eventsInSpool.set(spool.count)
  metrics.spoolBytes.set(spool.bytes)
  metrics.spoolOldestAge.set(age(spool.oldestMs()))
  for (const { sink } of drains) {
    metrics.sinkLagEvents.set({ sink }, spool.lag(sink))
    metrics.sinkLagSeconds.set({ sink }, age(spool.oldestMs(sink)))
    metrics.rejects.set({ sink }, spool.countRejects().find((row) => row.sink === sink)?.count ?? 0)
  }
}
