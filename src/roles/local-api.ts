import type { Hono } from 'hono'
import type { HealthReport } from '../api/health.ts'
import { ingestRoutes } from '../api/ingest.ts'
import { ingestSpecs } from '../api/other-specs.ts'
import { readApi } from '../api/read-api.ts'
import { readSpecs, streamSpec } from '../api/read-specs.ts'
import { aboutRoutes } from '../api/role-routes.ts'
import type { Accept } from '../core/admission.ts'
import { Auth, refuseOpenDoor } from '../platform/auth.ts'
import { bareRoutes } from '../platform/bare-routes.ts'
import type { LocalApiConfig } from '../platform/config.ts'
import { createApp } from '../platform/http.ts'
import { listen, toAddress } from '../platform/listen.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'
import type { Store } from '../store/connect.ts'
import type { DatabaseWatch } from '../store/database-watch.ts'
import { IngestQueue } from '../store/ingest-queue.ts'
import { liveFeed } from '../store/live.ts'
import { type Maintenance, runMaintenance } from '../store/maintenance.ts'
import { storeReader } from '../store/store-reader.ts'
import { ingestLimits } from './ingest-limits.ts'
import { countCommit } from './local-api-metrics.ts'
import { openStores, watchDatabase } from './local-api-stores.ts'

type Context = RoleContext & { insecure: boolean }

/** The plant's own API: stores the events of a site, answers questions, streams. */
export async function startLocalApi(config: LocalApiConfig, context: Context): Promise<RoleReady> {
  const { log, life, metrics } = context
  const auth = new Auth({ tokensFile: config.TOKENS_FILE, anonymous: config.ALLOW_ANONYMOUS })
  refuseOpenDoor(config.HOST, auth, context.insecure)

  const stores = openStores(config, context)
  const watch = await watchDatabase(stores.write, config, context)
  const maintenance = runMaintenance(config.DATABASE_URL, {
    log,
    signal: life.signal,
    freezeAfterHours: config.FREEZE_AFTER_HOURS,
    liveKeepHours: config.LIVE_KEEP_HOURS,
    archive: config.ARCHIVE === 'on',
    retentionHours: config.RETENTION_HOURS,
  })
  life.onStop('maintenance', () => maintenance.done)

  const app = createApp({ log, metrics })
  const door = ingest(config, auth, stores.write, watch, context)
  app.route('/', door.app)
  app.route('/', questions(config, auth, stores.read, context))
  app.route(
    '/',
    aboutRoutes({
      title: 'local API',
      auth,
      metrics,
      health: {
        service: config.SERVICE_NAME ?? 'local-api',
        check: () => health(stores.write, watch, maintenance),
      },
      routes: [...ingestSpecs, ...readSpecs(limitsOf(config)), streamSpec],
    }),
  )
  const bare = bareRoutes(door.bare, { log, metrics, auth })
  return { url: await listen(app, toAddress(config), life, bare) }
}

const limitsOf = (config: LocalApiConfig) => ({
  defaultLimit: config.QUERY_DEFAULT_LIMIT,
  maxLimit: config.QUERY_MAX_LIMIT,
})

function ingest(
  config: LocalApiConfig,
  auth: Auth,
  store: Store,
  watch: DatabaseWatch,
  { metrics }: Context,
) {
  const queue = new IngestQueue(store, {
    writers: Math.min(4, store.pool().size),
    maxEvents: 1000,
    maxWaiting: 50_000,
    onCommit: (events, ended) => countCommit(metrics, events, ended),
  })
  const accept: Accept = async (items) => {
    watch.assertReady()
    return queue.add(items.map((item) => item.event))
  }
  return ingestRoutes({ accept, auth, metrics, limits: ingestLimits(config), timed: true })
}

function questions(config: LocalApiConfig, auth: Auth, store: Store, context: Context): Hono {
  const { log, life, metrics } = context
  const archive = config.ARCHIVE === 'off' ? 'off' : 'available'
  return readApi({
    reader: storeReader(store, { archive }),
    auth,
    limits: limitsOf(config),
    stream: {
      feed: liveFeed(store, { signal: life.signal, log }),
      metrics,
      log,
      stopping: life.signal,
    },
  })
}

function health(store: Store, watch: DatabaseWatch, maintenance: Maintenance): HealthReport {
  const { now } = watch
  const upkeep = maintenance.state()
  return {
    ready: now.state === 'ready',
    status: upkeep.failed.length > 0 ? 'degraded' : 'ok',
    database_pool: store.pool(),
    ...(now.state === 'ready' ? { edition: now.edition } : { trouble: now.why }),
    maintenance: { here: upkeep.here, last_run_at: upkeep.lastRunAt, failed: upkeep.failed },
  }
}
