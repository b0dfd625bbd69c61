import { Archiver } from '../archive/archiver.ts'
import { readKeepYears } from '../archive/keep-years.ts'
import { openPlace } from '../archive/places/index.ts'
import { describeArchiver } from '../archive/report.ts'
import { AppError, ConfigError } from '../core/errors.ts'
import type { RoleReady, StartContext } from '../platform/role.ts'
import { keepYoungHeapSmall } from '../platform/young-heap.ts'
import { connect } from '../store/connect.ts'
import { openLease } from '../store/lease.ts'
import { refuseUnfitPooler } from '../store/pooler.ts'
import { openAuth, serve } from './serve.ts'
import type { ArchiverConfig } from './settings.ts'

/** Writes closed days to the archive as Parquet, oldest first, and drops raw events that are archived and old. */
export async function startArchiver(
  config: ArchiverConfig,
  context: StartContext,
): Promise<RoleReady> {
  keepYoungHeapSmall()
  const { log, life, metrics } = context
  const auth = openAuth(config, context)
  await assertFitWay(config.DATABASE_URL)
  // Its connection makes this the only archiver.
  const lease = openLease(config.DATABASE_URL, 'archive', { role: 'archiver', metrics })
  life.onStop('database', () => lease.close())
  // Health uses another one: the first is busy for as long as an hour takes.
  const probe = connect(config.DATABASE_URL, { role: 'archiver health', max: 1, timeoutS: 2 })
  life.onStop('database of health', () => probe.close())

  const place = openPlace(config, {
    onLimit: (limit) => log.warn({ place: place.address, limit }, 'the archive lacks a guarantee'),
  })
  const archiver = new Archiver({
    lease,
    place,
    site: config.SITE_ID,
    intervalMs: config.ARCHIVE_INTERVAL_HOURS * 3_600_000,
    retentionHours: config.RETENTION_HOURS,
    lateHours: config.ARCHIVE_LATE_HOURS,
    keep: readKeepYears(config.ARCHIVE_KEEP_YEARS),
    log,
    metrics,
    signal: life.signal,
  })
  const running = archiver.run()
  life.onStop('archiving', () => running)

  return serve(config, context, {
    auth,
    title: 'archiver',
    name: 'archiver',
    routes: [],
    check: async () => ({
      ...(await describeArchiver(archiver.state, probe, place)),
      ...(place.limits?.length ? { archive_limits: place.limits } : {}),
    }),
  })
}

/** A database that is away is waited for. @throws ConfigError behind a pooler that we cannot work with */
async function assertFitWay(url: string): Promise<void> {
  await refuseUnfitPooler(url).catch((error: Error) => {
    if (error instanceof AppError && error.code === 'conflict') {
      throw new ConfigError(`wafermon archiver: ${error.message}`)
    }
  })
}
