import { ConfigError } from '../core/errors.ts'
import type { Event } from '../core/event.ts'
import { parseText } from '../core/json.ts'
import { must } from '../core/must.ts'
import type { Micros } from '../core/time.ts'
import { openStatusLine } from '../platform/status-line.ts'
import { printLine } from '../platform/stdout.ts'
import type { ArchiveKind } from '../store/archive/columns.ts'
import type { JobKind } from '../store/archive/jobs-sql.ts'
import {
  type Restored,
  restoredUntil,
  restoreEvents,
  restoreJobs,
} from '../store/archive/restore.ts'
import type { ShelvedJob } from '../store/archive/restored-slots.ts'
import { connect, type Store } from '../store/connect.ts'
import { eventFromRow } from '../store/events.ts'
import type { Place } from './places/place.ts'
import { assertArchive } from './print.ts'
import { type ArchivedRow, toArchivedJob, toEventRow } from './read/archived-rows.ts'
import { ArchiveReading, type Missing } from './read/reading.ts'
import { assertRightPlace } from './right-place.ts'
import { tellMissing, tellNoDay } from './run-query.ts'

/*
 * `wafermon archive restore`: rows of the archive into the hot store, for some days. Events come first: a job that is there has
 * its events. May be killed at any time and run again: what is there stays as it is. An archiver may be at work meanwhile.
 */

export type RestoreOptions = {
  from: Micros
  to: Micros
  /** All unless given. */
  sites: readonly string[] | undefined
  keepDays: number
  json: boolean
  databaseUrl: string | undefined
}

export type RestoreResult = Record<ArchiveKind, Restored> & { until: Micros; missing: Missing[] }

/** The exit code is 1 when some rows could not be read. @throws ConfigError with the remedy */
export async function runRestore(place: Place, options: RestoreOptions): Promise<void> {
  const { databaseUrl, json } = options
  if (databaseUrl === undefined) {
    throw new ConfigError(
      'DATABASE_URL: is the database to restore into; set it, or give --database-url',
    )
  }
  await assertArchive(place)
  const store = connect(databaseUrl, { role: 'archive restore', max: 1, timeoutS: 300 })
  try {
    await assertRightPlace(place, store)
    const { event, job, subjob, until, missing } = await restore(place, store, options)
    if (json) {
      return await printLine(
        JSON.stringify({ events: event, jobs: job, subjobs: subjob, until, missing }),
      )
    }
    const tell = (name: string, { restored, kept }: Restored) =>
      printLine(`${restored} ${name} restored, ${kept} were there already`)
    await tell('jobs', job)
    await tell('subjobs', subjob)
    await tell('events', event)
    const restored = [job, subjob, event].some((kind) => kind.restored > 0)
    if (restored) await printLine(`what was restored stays until ${until}`)
  } finally {
    await store.close()
  }
}

/** Restores what the archive has of a span. Tells on standard error what cannot be read. */
export async function restore(
  place: Place,
  store: Store,
  { from, to, sites, keepDays }: Pick<RestoreOptions, 'from' | 'to' | 'sites' | 'keepDays'>,
): Promise<RestoreResult> {
  const until = await restoredUntil(store, keepDays)
  const status = openStatusLine()
  const missing: Missing[] = []
  let days = 0
  const restoreKind = async (kind: ArchiveKind): Promise<Restored> => {
    const sum: Restored = { restored: 0, kept: 0 }
    const reading = new ArchiveReading(
      place,
      { kind, sites, from, to },
      {
        onMissing: (one) => {
          status.clear()
          missing.push(one)
          tellMissing(one)
        },
        onDay: (done, days) => status.show(`${kind}s: ${done} of ${days} days restored`),
      },
    )
    for await (const rows of reading.batches()) {
      const { restored, kept } = await restoreRows(store, kind, rows, until)
      sum.restored += restored
      sum.kept += kept
    }
    days += reading.days
    return sum
  }
  const event = await restoreKind('event')
  const job = await restoreKind('job')
  const subjob = await restoreKind('subjob')
  status.clear()
  if (days === 0) tellNoDay()
  return { event, job, subjob, until, missing }
}

function restoreRows(
  store: Store,
  kind: ArchiveKind,
  rows: readonly ArchivedRow[],
  until: Micros,
): Promise<Restored> {
  if (kind !== 'event')
    return restoreJobs(
      store,
      kind,
      rows.map((row) => toShelved(kind, row)),
      until,
    )
  return restoreEvents(
    store,
    rows.map((row) => eventFromRow(toEventRow(row)) as Event),
    until,
  )
}

/** A row of a job's file for the store, and the day where it lies: that of its end, or of its last event. */
function toShelved(
  kind: JobKind,
  row: ArchivedRow,
): ShelvedJob & { shelf: { site: string; day: string } } {
  const { row: job, attempts, version } = toArchivedJob(kind, row)
  // biome-ignore format: one line each would be thirty
  const [
    id, , parentId, appId, appName, appVersion, siteId, jobKey, subKey, status, startedAt, endedAt, durationS,
    cpuUserS, cpuSystemS, memMaxMb, progress, , errorCount, lastError, lastEventAt, eventCount, insertedAt, updatedAt,
    , attempt, , queuedAt, , lastQueuedAt,
  ] = job
  const day = must(endedAt ?? lastEventAt, 'a job of the archive has a last event').slice(0, 10)
  return {
    ...{
      id,
      parentId,
      appId,
      appName,
      appVersion,
      siteId,
      jobKey,
      subKey,
      status,
      startedAt,
      endedAt,
    },
    ...{ durationS, cpuUserS, cpuSystemS, memMaxMb, progress, errorCount, lastError, lastEventAt },
    ...{ eventCount, insertedAt, updatedAt, attempt, attempts, queuedAt, lastQueuedAt, version },
    metrics: parsed<Record<string, number>>(row.metrics),
    metadata: parsed<Record<string, unknown>>(row.metadata),
    firstEventAt: (row.first_event_at ?? null) as Micros | null,
    shelf: { site: siteId, day },
  }
}

const parsed = <T extends object>(json: ArchivedRow[string] | undefined): T | null =>
  json == null ? null : (parseText(String(json)) as T)
