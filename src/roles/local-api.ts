import type { HealthReport } from '../api/health.ts'
import { ingestRoutes } from '../api/ingest.ts'
import { questionRoutes } from '../api/questions.ts'
import type { Route } from '../api/route.ts'
import { toIngestLimits, toQueryLimits } from '../api/settings.ts'
import type { Accept } from '../core/admission.ts'
import type { Auth } from '../platform/auth.ts'
import type { RoleReady, StartContext } from '../platform/role.ts'
import type { Store } from '../store/connect.ts'
import { countCommit } from '../store/count-commit.ts'
import type { DatabaseWatch } from '../store/database-watch.ts'
import { IngestQueue } from '../store/ingest-queue.ts'
import { liveFeed } from '../store/live.ts'
import { type Maintenance, runMaintenance } from '../store/maintenance.ts'
import { openStores, watchDatabase } from '../store/open-stores.ts'
import { ReuseAlarm } from '../store/reuse-alarm.ts'
import { storeReader } from '../store/store-reader.ts'
import { openAuth, serve } from './serve.ts'
import type { LocalApiConfig } from './settings.ts'

/** The plant's own API: stores the events of a site, answers questions, streams. */
export async function startLocalApi(
  config: LocalApiConfig,
  context: StartContext,
): Promise<RoleReady> {
  const { log, life } = context
  const auth = openAuth(config, context)
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
  const alarm = new ReuseAlarm(stores.write, log, context.metrics)

  return serve(config, context, {
    auth,
    title: 'local API',
    name: 'local-api',
    routes: [
      ...ingest(config, stores.write, { watch, alarm }, { ...context, auth }),
      ...questions(config, stores.read, context),
    ],
    check: () => health(stores.write, watch, { maintenance, alarm }),
  })
}

function ingest(
  config: LocalApiConfig,
  store: Store,
  { watch, alarm }: { watch: DatabaseWatch; alarm: ReuseAlarm },
  { metrics, auth }: StartContext & { auth: Auth },
): Route[] {
  const queue = new IngestQueue(store, {
    writers: Math.min(4, store.pool().size),
    maxEvents: 1000,
    maxWaiting: 50_000,
    onCommit: (events, { ended, reused }) => {
      countCommit(metrics, events, ended)
      alarm.raise(reused)
    },
  })
  const accept: Accept = async (items) => {
    watch.assertReady()
    return queue.add(items.map((item) => item.event))
  }
  return ingestRoutes({
    accept,
    metrics,
    senderOf: (authorization) => auth.senderOf(authorization),
    limits: toIngestLimits(config),
    timed: true,
  })
}

function questions(config: LocalApiConfig, store: Store, context: StartContext): Route[] {
  const { log, life, metrics } = context
  const archive = config.ARCHIVE === 'off' ? 'off' : 'available'
  return questionRoutes({
    reader: storeReader(store, { archive }),
    limits: toQueryLimits(config),
    stream: {
      feed: liveFeed(store, { signal: life.signal, log }),
      metrics,
      log,
      stopping: life.signal,
    },
  })
}

async function health(
  store: Store,
  { now }: DatabaseWatch,
  { maintenance, alarm }: { maintenance: Maintenance; alarm: ReuseAlarm },
): Promise<HealthReport> {
  const upkeep = maintenance.state()
  const reused = now.state === 'ready' ? await alarm.spools() : []
  return {
    ready: now.state === 'ready',
    status: upkeep.failed.length > 0 || upkeep.doubt || reused.length > 0 ? 'degraded' : 'ok',
    database_pool: store.pool(),
    ...(now.state === 'ready' ? { edition: now.edition } : { trouble: now.why }),
    reused_numbers: reused,
    maintenance: {
      here: upkeep.here,
      last_run_at: upkeep.lastRunAt,
      failed: upkeep.failed,
      ...(upkeep.doubt ? { stopped: upkeep.doubt } : {}),
    },
  }
}
