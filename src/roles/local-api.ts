import type { Hono } from 'hono'
import { healthRoute } from '../api/health.ts'
import { type Admitted, type IngestVerdict, ingestRoutes } from '../api/ingest.ts'
import type { Event } from '../core/event.ts'
import { endStatusOf, shownOf, slotsOf } from '../core/fold.ts'
import { Auth, refuseOpenDoor } from '../platform/auth.ts'
import type { LocalApiConfig } from '../platform/config.ts'
import { createApp, listen, metricsRoute } from '../platform/http.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'
import { connect } from '../store/connect.ts'
import type { StoreVerdict } from '../store/ingest.ts'
import { IngestQueue } from '../store/ingest-queue.ts'

/** The plant's own API: stores the events of a site, answers questions, streams. */
export async function startLocalApi(
  config: LocalApiConfig,
  context: RoleContext & { insecure: boolean },
): Promise<RoleReady> {
  const { log, life, metrics } = context
  const auth = new Auth({ tokensFile: config.TOKENS_FILE, anonymous: config.ALLOW_ANONYMOUS })
  refuseOpenDoor(config.HOST, auth, context.insecure)

  const store = connect(config.DATABASE_URL, {
    role: 'local-api',
    max: config.DB_POOL_MAX_SIZE,
    min: config.DB_POOL_MIN_SIZE,
    metrics,
  })
  life.onStop('database', () => store.close())
  const queue = new IngestQueue(store, {
    writers: Math.min(4, Math.ceil(config.DB_POOL_MAX_SIZE / 2)),
    maxEvents: 1000,
    maxWaiting: 50_000,
    onCommit: (events, fresh) => countCommit(metrics, events, fresh),
  })

  const app = createApp({ log, metrics })
  addIngest(app, config, auth, queue, metrics)
  app.route(
    '/',
    healthRoute('local-api', () => ({ ready: true, degraded: false, details: {} })),
  )
  app.route('/', metricsRoute(metrics))
  const url = await listen(
    app,
    {
      host: config.HOST,
      port: config.PORT,
      tls: { cert: config.TLS_CERT, key: config.TLS_KEY, ca: config.TLS_CA },
    },
    life,
  )
  return { url }
}

function addIngest(
  app: Hono,
  config: LocalApiConfig,
  auth: Auth,
  queue: IngestQueue,
  metrics: Metrics,
): void {
  app.route(
    '/',
    ingestRoutes({
      accept: async (items: readonly Admitted[]) =>
        (await queue.add(items.map((item) => item.event))).map(verdictOf),
      auth,
      metrics,
      timed: true,
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
}

const verdictOf = (verdict: StoreVerdict): IngestVerdict =>
  typeof verdict === 'string'
    ? { kind: verdict }
    : { kind: 'refused', field: '', detail: verdict.refused }

/** Jobs that ended now; replayed history moves no counter. */
function countCommit(metrics: Metrics, events: number, fresh: readonly Event[]): void {
  metrics.ingestBatch.observe(events)
  for (const event of fresh) {
    const status = event.historical || event.entity.type !== 'job' ? undefined : endStatusOf(event)
    if (status === undefined) continue
    const app_name = metrics.appLabel(event.app.name)
    metrics.jobs.inc({ app_name, status })
    const { durationS } = shownOf(slotsOf(event))
    if (durationS !== null) metrics.jobDuration.observe({ app_name }, durationS)
  }
}
