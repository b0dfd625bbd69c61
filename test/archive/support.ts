import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { chainEnd } from '../../src/archive/chain.ts'
import { compactDay } from '../../src/archive/compact-day.ts'
import { exportDay } from '../../src/archive/day.ts'
import { archiveDay, sourceOf } from '../../src/archive/due-day.ts'
import { readHours } from '../../src/archive/hour-manifest.ts'
import { takeOver } from '../../src/archive/intent.ts'
import { manifestNumbers, readNewest } from '../../src/archive/manifest.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import type { Place } from '../../src/archive/places/place.ts'
import { deleteReplaced } from '../../src/archive/replaced.ts'
import type { Event } from '../../src/core/event.ts'
import { type Day, dueDays, toDay } from '../../src/store/archive/days.ts'
import type { ArchivedFile } from '../../src/store/archive/files.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { type Edition, freshDatabase } from '../support/database.ts'
import { assertAgreement } from './agreement.ts'

export { duck } from './duck.ts'

/* Closed days to archive: events of March 2026, taken in as always, then frozen. */

const op = { operation: 'test', table: 'none' }

/** A day of March 2026, the 13th unless said. */
export const dayAt = (day = 13, site = 'fab1'): Day => toDay(site, startOf(day))

const startOf = (day: number) => `2026-03-${String(day).padStart(2, '0')}T00:00:00.000000Z`

let made = 0

/** An event some seconds into a day. */
export function eventAt(second: number, more: Partial<Event['event']> = {}, day = 13): Event {
  const at = new Date(Date.UTC(2026, 2, day, 0, 0, second)).toISOString().slice(0, 19)
  const n = String(++made).padStart(12, '0')
  return {
    idempotency_key: `d0000000-0000-4000-8000-${n}`,
    site_id: 'fab1',
    app: { app_id: 'a0000000-0000-4000-8000-000000000001', name: 'etch', version: '' },
    entity: { type: 'job', id: `b0000000-0000-4000-8000-${n}`, business_key: 'Lé😀' },
    event: {
      kind: 'finished',
      at: `${at}.000001Z`,
      metrics: { duration_s: 1.5, cd: 38.1 },
      metadata: { tool: 'E1' },
      ...more,
    },
    received_at: `${at}.000001Z`,
  }
}

export const run = (store: Store, statement: string) =>
  store.ask<Record<string, unknown>[]>(op, (sql) => sql.unsafe(statement))

/** Takes events in; then all days before `open` (of March) are closed, and their jobs are long settled. */
export async function takeIn(store: Store, events: readonly Event[], open = 14): Promise<void> {
  await run(store, `update horizon set frozen_before = '2026-03-01', open_until = '2026-03-21'`)
  const first = events.map(({ event }) => event.at).sort()[0] ?? startOf(1)
  await run(store, `select make_event_partitions('${first}', '2026-03-21T00:00Z')`)
  for (let i = 0; i < events.length; i += 200) await ingest(store, events.slice(i, i + 200))
  await freeze(store, open)
  await settle(store)
}

/** Closes all days before `open`; what comes for them now is late. */
export const freeze = (store: Store, open: number) =>
  run(store, `update horizon set frozen_before = '${startOf(open).slice(0, 10)}T01:00:00Z'`)

/** As if nothing had changed for two hours. */
export async function settle(store: Store): Promise<void> {
  for (const table of ['job', 'subjob']) {
    await run(store, `update ${table} set updated_at = now() - interval '2 hours'`)
  }
}

/** As if what came late, or changed, had come so many hours ago. */
export async function wait(store: Store, hours = 25): Promise<void> {
  await run(store, `update event_late set stored_at = now() - interval '${hours} hours'`)
  for (const table of ['job', 'subjob']) {
    await run(
      store,
      `update ${table} t set updated_at = now() - interval '${hours} hours' where not exists (
         select from archived_job a where a.kind = '${table}' and a.id = t.${table}_id and a.updated_at = t.updated_at)`,
    )
  }
}

/** As if all days had been taken in long ago: past retention, if they are archived. */
export async function expire(store: Store): Promise<void> {
  await run(store, `update event set stored_at = now() - interval '30 days'`)
  await run(store, `update horizon set frozen_before = '2026-03-14T00:00Z'`)
}

/** A database with these events, closed. */
export async function closedDay(
  t: Pick<TestContext, 'after'>,
  events: readonly Event[],
  edition: Edition = 'plain',
): Promise<{ store: Store; url: string }> {
  const { url } = await freshDatabase(t, { edition })
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  await takeIn(store, events)
  return { store, url }
}

type Options = Partial<Parameters<typeof exportDay>[0]>

/** Exports a day of the database, and notes nothing; any part can be replaced. */
export async function exported(
  store: Store,
  dir: string,
  options: Options = {},
): Promise<ArchivedFile[]> {
  const { day = dayAt(), place = new FolderPlace(dir) } = options
  const previous = await readNewest(place, day)
  const { fresh } = await exportDay({
    ...{ place, day, source: sourceOf(store, day), previous },
    hours: previous ? [] : await readHours(place, day),
    end: await chainEnd({ lease: leaseOf(store) }, day.site),
    number: ((await manifestNumbers(place, day)).at(-1) ?? 0) + 1,
    noted: new Set<string>(),
    signal: new AbortController().signal,
    assertOurs: async () => {},
    intend: async () => {},
    protect: (work) => work(1),
    ...options,
  })
  return fresh
}

/** A lease that nobody takes. */
export const leaseOf = (store: Store) => ({
  store,
  reader: store as never,
  protect: <T>(work: (number: number) => Promise<T>) => work(1),
})

export const log = pino({ level: 'silent' })

/** Archives what a day has that the archive lacks, and notes it, as the archiver does. */
export async function archived(store: Store, where: string | Place, day = dayAt()) {
  const place = typeof where === 'string' ? new FolderPlace(where) : where
  await takeOver(day.site, working(store, place))
  return archiveDay(day, working(store, place))
}

const working = (store: Store, place: Place) => ({
  ...{ lease: leaseOf(store), place, log, signal: new AbortController().signal },
  assertOurs: async () => {},
})

/** Rewrites a day if it came in many parts, as the archiver does; what is replaced is still there. */
export async function compacted(
  store: Store,
  place: Place,
  { day = dayAt(), ...more }: { day?: Day; maxRows?: number } = {},
) {
  await takeOver(day.site, working(store, place))
  return compactDay(day, { ...working(store, place), ...more })
}

/** Deletes what was replaced. @returns how many files */
export const deleted = async (store: Store, place: Place, day = dayAt()) =>
  (await deleteReplaced(day, working(store, place))).files

/** Archives everything that waits, as often as something does; DuckDB and our reading agree about it then. */
export async function archivedAll(store: Store, where: string | Place): Promise<void> {
  for (let i = 0; i < 10; i++) {
    const due = await dueDays(store)
    if (due.length === 0) return typeof where === 'string' ? assertAgreement(where) : undefined
    for (const day of due) await archived(store, where, day)
  }
  throw new Error('something waits for ever')
}

/** A table of the archive, as DuckDB's `from` takes it. */
export const parquet = (dir: string, table: string) =>
  `read_parquet('${dir}/${table}/*/*/*.parquet', hive_partitioning = true)`
