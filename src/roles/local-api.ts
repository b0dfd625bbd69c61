import { ingestRoutes } from '../api/ingest.ts'
import { questionRoutes } from '../api/questions.ts'
import type { Route } from '../api/route.ts'
import { toIngestLimits, toQueryLimits } from '../api/settings.ts'
import { ArchiveHost } from '../archive/history/host.ts'
import { historyReader } from '../archive/history/reader.ts'
import { openPlace, pickPlaceSettings } from '../archive/places/index.ts'
import type { Accept } from '../core/admission.ts'
import type { Event } from '../core/event.ts'
import type { EventCounts } from '../platform/effect.ts'
import { RecentCounts } from '../platform/recent-counts.ts'
import type { RoleReady, StartContext } from '../platform/role.ts'
import { setSourceMetrics } from '../store/completeness.ts'
import type { Store } from '../store/connect.ts'
import { countCommit, countEnded } from '../store/count-commit.ts'
import type { DatabaseWatch } from '../store/database-watch.ts'
import { keepUnblocked } from '../store/end-stalled.ts'
import { IngestQueue } from '../store/ingest-queue.ts'
import { liveFeed } from '../store/live.ts'
import { runMaintenance } from '../store/maintenance.ts'
import { openStores, watchDatabase } from '../store/open-stores.ts'
import { describeStore } from '../store/report.ts'
import { ReuseAlarm } from '../store/reuse-alarm.ts'
import { runRollups } from '../store/rollups/run-rollups.ts'
import { storeReader } from '../store/store-reader.ts'
import { closeDoors } from './close-doors.ts'
import { openAuth, serve } from './serve.ts'
import type { LocalApiConfig } from './settings.ts'
import { sourceDoors } from './source-doors.ts'

/** The plant's own API: stores the events of a site, answers questions, streams. */
export async function startLocalApi(
  config: LocalApiConfig,
  context: StartContext,
): Promise<RoleReady> {
  const { log, life } = context
  const auth = openAuth(config, context)
  const onEnded = (ended: readonly Event[]) => countEnded(context.metrics, ended)
  const stores = openStores(config, context)
  const watch = await watchDatabase(stores.watch, config, context)
  const maintenance = runMaintenance(config.DATABASE_URL, {
    log,
    signal: life.signal,
    freezeAfterHours: config.FREEZE_AFTER_HOURS,
    liveKeepHours: config.LIVE_KEEP_HOURS,
    archive: config.ARCHIVE === 'on',
    retentionHours: config.RETENTION_HOURS,
    lostAfterS: config.LOST_AFTER_S,
    onEnded,
  })
  life.onStop('maintenance', () => maintenance.done)
  const rollups = runRollups(config.DATABASE_URL, { log, signal: life.signal })
  life.onStop('rollups', () => rollups.done)
  const alarm = new ReuseAlarm(stores.watch, log, context.metrics)
  const doors = [
    ...sourceDoors(config, stores, watch),
    ...closeDoors(config, stores, watch, onEnded),
  ]
  const { queue, recent, routes } = ingest(config, stores.write, { watch, alarm }, context)
  const stalledMs = () => queue.progress().stalledMs
  void keepUnblocked(stores.watch, { stalledMs, log, signal: life.signal })

  return serve(config, context, {
    auth,
    title: 'local API',
    name: 'local-api',
    routes: [...routes, ...doors, ...questions(config, stores.read, context)],
    refreshMetrics: () => setSourceMetrics(context.metrics, stores.state),
    check: async () =>
      describeStore({
        pool: stores.write.pool(),
        database: watch.now,
        ingest: queue.progress(),
        maintenance: maintenance.state(),
        rollups: rollups.state(),
        horizonStandsS: watch.horizonStandsS,
        reused: watch.now.state === 'ready' ? await alarm.spools() : [],
        recent,
      }),
  })
}

function ingest(
  config: LocalApiConfig,
  store: Store,
  { watch, alarm }: { watch: DatabaseWatch; alarm: ReuseAlarm },
  { metrics }: StartContext,
) {
  const recent: EventCounts = new RecentCounts()
  const queue = new IngestQueue(store, {
    writers: Math.min(4, store.pool().size),
    maxEvents: 1000,
    maxWaiting: 50_000,
    onCommit: (events, { ended, reused, late }) => {
      recent.add('late', late)
      countCommit(metrics, events, ended)
      alarm.raise(reused)
    },
  })
  const accept: Accept = async (items) => {
    watch.assertReady()
    return queue.add(items.map((item) => item.event))
  }
  const routes = ingestRoutes({
    accept,
    metrics,
    recent,
    limits: toIngestLimits(config),
    timed: true,
  })
  return { queue, recent, routes }
}

/** The archive is read in a thread of its own, from the first question to it on. */
function openArchive(config: LocalApiConfig, { log, life }: StartContext): ArchiveHost | undefined {
  if (config.ARCHIVE === 'off') return undefined
  // Says now when settings contradict each other; it does not look at the place.
  const { address: place } = openPlace(config)
  const host = new ArchiveHost(pickPlaceSettings(config), (why) => {
    log.warn({ place, why }, 'the archive cannot be read; asking again in half a minute')
  })
  life.onStop('reader of the archive', () => host.close())
  return host
}

function questions(config: LocalApiConfig, store: Store, context: StartContext): Route[] {
  const { log, life, metrics } = context
  const source = openArchive(config, context)
  const hot = storeReader(store, { archive: source ? 'available' : 'off' })
  return questionRoutes({
    reader: historyReader({ hot, store, source }),
    limits: toQueryLimits(config),
    stream: {
      feed: liveFeed(store, { signal: life.signal, log }),
      metrics,
      log,
      stopping: life.signal,
    },
  })
}
