import { confirmExpiry, type ExpireLine, planExpiry } from '../../src/archive/expire.ts'
import { parseKeepYears } from '../../src/archive/keep-years.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import type { Place } from '../../src/archive/places/place.ts'
import type { Problem } from '../../src/archive/problem.ts'
import { type Summary, verifyArchive } from '../../src/archive/verify.ts'
import type { Event } from '../../src/core/event.ts'
import type { KeepRule } from '../../src/store/archive/aged.ts'
import { type Day, toDay } from '../../src/store/archive/days.ts'
import { recordedFiles, recordedManifests } from '../../src/store/archive/files.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { trimJobs } from '../../src/store/maintenance.ts'
import { archivedAll, eventAt, leaseOf, log, run, takeIn } from './support.ts'

/* Days of long ago: their events came late, were archived, and their jobs have left the hot store since. */

const { signal } = new AbortController()

/** The 13th of March of a year. */
export const oldDay = (year: number, site = 'fab1'): Day =>
  toDay(site, `${year}-03-13T00:00:00.000000Z`)

/** An event of that day, of a job of its own with this key. */
export function oldEvent(year: number, second: number, key = 'LOT-1', site = 'fab1'): Event {
  const event = eventAt(second)
  const text = JSON.stringify({ ...event, site_id: site }).replaceAll('2026-03-13', `${year}-03-13`)
  const old = JSON.parse(text) as Event
  return { ...old, entity: { ...old.entity, business_key: key } }
}

/** Archives events of old days, as if all was long ago. */
export async function archiveOld(
  store: Store,
  dir: string,
  events: readonly Event[],
): Promise<void> {
  await takeIn(store, [])
  await ingest(store, events)
  await archivedAll(store, dir)
  await leaveHot(store)
}

/** As if 90 days had passed since. */
export async function leaveHot(store: Store): Promise<void> {
  await run(store, 'update horizon set trusted_at = now()')
  await trimJobs(store, signal, 0, true)
}

/** The rules of a setting; rules of a test may have fewer years than a setting allows. */
export const keep = (text: string | KeepRule[] = '') => {
  if (typeof text !== 'string') return text
  const rules = parseKeepYears(text)
  if (typeof rules === 'string') throw new Error(rules)
  return rules
}

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const item of items) all.push(item)
  return all
}

const optionsOf = (store: Store, place: Place, years: string | KeepRule[]) => ({
  ...{ reader: store, place, keep: keep(years), site: undefined, known: new Map() },
})

/** What a dry run shows. */
export async function planned(store: Store, dir: string, years = ''): Promise<ExpireLine[]> {
  return collected(planExpiry(optionsOf(store, new FolderPlace(dir), years)))
}

/** Deletes what is past its years. */
export async function expired(
  store: Store,
  place: Place | string,
  years: string | KeepRule[] = '',
): Promise<ExpireLine[]> {
  const at = typeof place === 'string' ? new FolderPlace(place) : place
  return collected(
    confirmExpiry({
      ...optionsOf(store, at, years),
      ...{ lease: leaseOf(store) as never, log, signal, by: 'ops', reason: undefined },
      assertOurs: async () => {},
    }),
  )
}

/** `fab1 2014-03-13 event: deleted`, line by line. */
export const shortly = (lines: readonly ExpireLine[]) =>
  lines.map(({ site, day, kinds, outcome }) => `${site} ${day} ${kinds.join(',')}: ${outcome}`)

/** Reads the whole archive, and compares it with the record. */
export async function verified(store: Store, dir: string) {
  const recorded = { files: recordedFiles(store), manifests: recordedManifests(store) }
  const days: Summary[] = []
  const problems: Problem[] = []
  for await (const one of verifyArchive(new FolderPlace(dir), { deep: true, recorded })) {
    if ('problem' in one) problems.push(one)
    else days.push(one)
  }
  return { days, problems }
}
