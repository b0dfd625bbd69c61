import type { TestContext } from 'node:test'
import { DuckDBInstance } from '@duckdb/node-api'
import { exportHour } from '../../src/archive/hour.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import type { Event } from '../../src/core/event.ts'
import type { ArchiveKind } from '../../src/store/archive/columns.ts'
import { type Hour, hourFacts } from '../../src/store/archive/hours.ts'
import { readHour } from '../../src/store/archive/rows.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { type Edition, freshDatabase } from '../support/database.ts'

/* Closed hours to archive: events of 2026-03-01, taken in as always, then frozen. */

const op = { operation: 'test', table: 'none' }

/** One o'clock in the afternoon of 2026-03-01, and the hours around it. */
export function hourAt(hour = 13, site = 'fab1'): Hour {
  const text = (h: number) => `2026-03-01T${String(h).padStart(2, '0')}:00:00.000000Z`
  return { site, from: text(hour), to: text(hour + 1) }
}

let made = 0

/** An event some seconds into an hour. */
export function eventAt(second: number, more: Partial<Event['event']> = {}, hour = 13): Event {
  const at = new Date(Date.UTC(2026, 2, 1, hour, 0, second)).toISOString().slice(0, 19)
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

/** Takes events in; then all of the day below `until` is closed, and its jobs are long settled. */
export async function takeIn(
  store: Store,
  events: readonly Event[],
  until = '14:30',
): Promise<void> {
  await run(store, `update horizon set frozen_before = '2026-03-01', open_until = '2026-03-02'`)
  await run(store, `select make_event_partitions('2026-03-01T00:00Z', '2026-03-02T00:00Z')`)
  for (let i = 0; i < events.length; i += 1000) await ingest(store, events.slice(i, i + 1000))
  await run(store, `update horizon set frozen_before = '2026-03-01T${until}:00Z'`)
  await settle(store)
}

/** As if nothing had changed for two hours. */
export async function settle(store: Store): Promise<void> {
  for (const table of ['job', 'subjob']) {
    await run(store, `update ${table} set updated_at = now() - interval '2 hours'`)
  }
}

/** As if the whole day had been taken in long ago: past retention, if it is archived. */
export async function expire(store: Store): Promise<void> {
  await run(store, `update event set stored_at = now() - interval '30 days'`)
  await run(store, `update horizon set frozen_before = '2026-03-02T00:00Z'`)
}

/** A database with these events, closed. */
export async function closedHour(
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

export const sourceOf = (store: Store, hour: Hour) => ({
  facts: () => hourFacts(store, hour),
  read: <T>(kind: ArchiveKind, consume: Parameters<typeof readHour<T>>[3]) =>
    readHour(store, kind, hour, consume),
})

type Options = Partial<Parameters<typeof exportHour>[0]>

/** Exports an hour of the database; any part can be replaced. */
export function exported(store: Store, dir: string, options: Options = {}) {
  const hour = options.hour ?? hourAt()
  return exportHour({
    place: new FolderPlace(dir),
    hour,
    source: sourceOf(store, hour),
    events: 0,
    noted: new Set<string>(),
    signal: new AbortController().signal,
    assertOurs: async () => {},
    protect: (work) => work(1),
    ...options,
  })
}

/** Runs statements in one DuckDB; the rows of the last one, with values as JSON has them. */
export async function duck(...statements: string[]): Promise<Record<string, unknown>[]> {
  const connection = await (await DuckDBInstance.create()).connect()
  try {
    await connection.run(`set timezone = 'UTC'`)
    for (const statement of statements.slice(0, -1)) await connection.run(statement)
    const reader = await connection.runAndReadAll(statements.at(-1) ?? '')
    return reader.getRowObjectsJson() as Record<string, unknown>[]
  } finally {
    connection.closeSync()
  }
}

/** A table of the archive, as DuckDB's `from` takes it. */
export const parquet = (dir: string, table: string) =>
  `read_parquet('${dir}/${table}/*/*/*/*.parquet', hive_partitioning = true)`
