import { aboutRoutes } from '../api/about.ts'
import type { HealthReport } from '../api/health.ts'
import { checkFolder } from '../archive/folder.ts'
import { exportHour } from '../archive/hour.ts'
import { fromMs, secondsBetween } from '../core/time.ts'
import { Auth, refuseOpenDoor } from '../platform/auth.ts'
import { Backoff, sleep } from '../platform/backoff.ts'
import type { ArchiverConfig } from '../platform/config.ts'
import { createApp, listen } from '../platform/http.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'
import { dueHours, type Hour, hourRows, noteArchived, takeArchiveLock } from '../store/archive.ts'
import { connect, type Store } from '../store/connect.ts'

type State = { here: boolean; trouble: string | undefined; hours: number; lastRunAt: string | null }

/** Rows in memory at once. */
const batchRows = 10_000
/** Hours that are looked up at once. */
const page = 100

/** Writes closed hours to the archive as Parquet, oldest first. */
export async function startArchiver(
  config: ArchiverConfig,
  context: RoleContext & { insecure: boolean },
): Promise<RoleReady> {
  const { log, life, metrics } = context
  const auth = new Auth({ tokensFile: config.TOKENS_FILE, anonymous: config.ALLOW_ANONYMOUS })
  refuseOpenDoor(config.HOST, auth, context.insecure)
  // One connection that is kept: the lock that makes this the only archiver is its.
  const store = connect(config.DATABASE_URL, { role: 'archiver', max: 1, keep: true, metrics })
  life.onStop('database', () => store.close())

  const state: State = { here: false, trouble: undefined, hours: 0, lastRunAt: null }
  const running = run(store, config, context, state)
  life.onStop('archiving', () => running)

  const app = createApp({ log, metrics })
  const check = () => health(state, config)
  app.route(
    '/',
    aboutRoutes({
      title: 'archiver',
      auth,
      metrics,
      health: { service: config.SERVICE_NAME ?? 'archiver', check },
      routes: [],
    }),
  )
  const tls = { cert: config.TLS_CERT, key: config.TLS_KEY, ca: config.TLS_CA }
  return { url: await listen(app, { host: config.HOST, port: config.PORT, tls }, life) }
}

/** Looks for closed hours until it is stopped; what fails is tried again. */
async function run(store: Store, config: ArchiverConfig, context: RoleContext, state: State) {
  const { log, life, metrics } = context
  const backoff = new Backoff({ firstMs: 1000, maxMs: 60_000 })
  while (!life.signal.aborted) {
    try {
      await archiveDue(store, config, context, state)
      backoff.reset()
      state.trouble = undefined
      state.lastRunAt = fromMs(Date.now())
      await sleep(config.ARCHIVE_INTERVAL_HOURS * 3_600_000, life.signal)
    } catch (error) {
      if (life.signal.aborted) return
      metrics.archiveFailures.inc()
      state.trouble = (error as Error).message
      const waitMs = backoff.next()
      log.error({ error, retry_ms: Math.round(waitMs) }, 'archiving failed, will be repeated')
      await sleep(waitMs, life.signal)
    }
  }
}

async function archiveDue(
  store: Store,
  config: ArchiverConfig,
  context: RoleContext,
  state: State,
) {
  const { life, metrics } = context
  await checkFolder(config.ARCHIVE_DIR)
  state.here = await takeArchiveLock(store)
  if (!state.here) return
  for (;;) {
    const hours = await dueHours(store, config.SITE_ID, page)
    const oldest = hours[0]
    metrics.archiveBehind.set(oldest ? secondsBetween(oldest.to, fromMs(Date.now())) : 0)
    if (hours.length === 0) return
    for (const hour of hours) {
      if (life.signal.aborted) return
      await archive(store, hour, config, context)
      state.hours++
    }
  }
}

async function archive(
  store: Store,
  hour: Hour,
  config: ArchiverConfig,
  { log, metrics }: RoleContext,
) {
  const files = await exportHour({
    dir: config.ARCHIVE_DIR,
    place: hour,
    rowsOf: (kind) => hourRows(store, kind, hour, batchRows),
  })
  await noteArchived(store, hour, files)
  for (const { kind, rows } of files) {
    metrics.archiveFiles.inc({ table: kind })
    metrics.archiveRows.inc({ table: kind }, rows)
  }
  const rows = files.reduce((sum, file) => sum + file.rows, 0)
  log.info({ site: hour.site, hour: hour.from, files: files.length, rows }, 'hour archived')
}

/** Works while the folder and the database do; another archiver at work is no trouble. */
function health(state: State, config: ArchiverConfig): HealthReport {
  return {
    ready: state.trouble === undefined,
    status: 'ok',
    archive_dir: config.ARCHIVE_DIR,
    here: state.here,
    hours_archived: state.hours,
    last_run_at: state.lastRunAt,
    ...(state.trouble ? { trouble: state.trouble } : {}),
  }
}
