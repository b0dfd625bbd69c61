import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { dropArchived } from '../../src/archive/retention.ts'
import type { Event } from '../../src/core/event.ts'
import { archiveColumns } from '../../src/store/archive/columns.ts'
import { dueDays } from '../../src/store/archive/days.ts'
import { dropRestored } from '../../src/store/archive/restore.ts'
import type { Store } from '../../src/store/connect.ts'
import { trimJobs } from '../../src/store/maintenance.ts'
import { freshFolder } from '../support/processes.ts'
import { openRollups } from '../support/rollups.ts'
import { archivedAll, closedDay, dayAt, eventAt, run } from './support.ts'

/* An archive whose rows are gone from the hot store, and what there is to compare after they came back. */

const { signal } = new AbortController()
export const all = { from: dayAt(1).from, to: dayAt(20).from, sites: undefined, keepDays: 7 }

/** What a job or subjob shows. */
export function shownSql(kind: 'job' | 'subjob'): string {
  const hidden = ['version', 'moved_to', 'first_event_at']
  const columns = archiveColumns[kind].filter(({ name }) => !hidden.includes(name))
  return `select ${columns.map(({ name, sql }) => `${sql} as "${name}"`).join(', ')} from ${kind} order by ${kind}_id`
}

/** All that tables show that is not of a moment. */
export async function shown(store: Store) {
  const count = async (table: string) =>
    Number((await run(store, `select count(*) as n from ${table}`))[0]?.n)
  return {
    jobs: await run(store, shownSql('job')),
    subjobs: await run(store, shownSql('subjob')),
    live: await count('live_batch'),
    sources: await run(store, 'select * from source'),
    baselines: await count('baseline'),
    apps: await count('app'),
    orphans: await count('orphan'),
    manifests: await run(
      store,
      'select site_id, day::text, number, sha256 from archive_manifest order by 1, 2, 3',
    ),
    archived: await run(
      store,
      'select kind, id, site_id, day::text, version, updated_at from archived_job order by 1, 2',
    ),
    due: (await dueDays(store)).length,
  }
}

export const eventsOf = (store: Store) =>
  run(
    store,
    `select at, idempotency_key, entity_id, kind, status, metrics, metadata, extra, historical, source_id, source_seq
     from (select * from event_late union all select *, null from event) e order by 1, 2`,
  )

/** As if everything had been silent for a hundred days. */
export const age = async (store: Store) => {
  for (const table of ['job', 'subjob'])
    await run(store, `update ${table} set updated_at = now() - interval '100 days'`)
}

/** Retention: raw events, jobs, and what was restored and had its time. */
export async function retention(store: Store, dir: string): Promise<void> {
  await run(store, `update event set stored_at = now() - interval '30 days'`)
  await run(store, `update horizon set frozen_before = '2026-03-14T00:00Z'`)
  const held = await dropArchived({
    ...{ store, place: new FolderPlace(dir), retentionHours: 72, signal },
    ...{ assertOurs: async () => {}, onDropped: () => {} },
  })
  assert.equal(held, undefined)
  await dropRestored(store, signal)
  await trimJobs(store, signal, 90, true)
}

export const timeIsUp = async (store: Store) => {
  for (const table of ['job', 'subjob', 'event_late'])
    await run(
      store,
      `update ${table} set restored_until = '2026-01-01' where restored_until is not null`,
    )
}

export const count = async (store: Store, table: string) =>
  Number((await run(store, `select count(*) as n from ${table}`))[0]?.n)

/** Jobs of several events, a subjob and a job that never ended; archived, and gone from the hot store. */
export async function goneArchive(t: TestContext) {
  const events: Event[] = []
  for (let i = 0; i < 5; i++) {
    const first = eventAt(i * 10, { kind: 'started', metrics: null })
    const { entity } = first
    events.push(first, {
      ...eventAt(i * 10 + 1, { kind: 'error', status: 'running', metadata: { error: 'É' } }),
      entity,
    })
    events.push({ ...eventAt(i * 10 + 2), entity })
    events.push({
      ...eventAt(i * 10 + 1),
      entity: { ...eventAt(0).entity, type: 'subjob', parent_id: entity.id, sub_key: `W${i}` },
    })
  }
  events.push(eventAt(70, { kind: 'started', metrics: null }))
  const { store, url } = await closedDay(t, events)
  const dir = freshFolder()
  const rollups = await openRollups(t, url)
  await rollups.make()
  await age(store)
  await archivedAll(store, dir)
  const before = await shown(store)
  const eventsBefore = await eventsOf(store)
  const stats = await run(store, 'select * from job_stats_hourly order by 1, 2, 3, 4, 5')
  await retention(store, dir)
  for (const table of ['job', 'subjob', 'event', 'event_late'])
    assert.equal(await count(store, table), 0)
  return { store, url, dir, rollups, events, before, eventsBefore, stats }
}

/** The hourly rollups. */
export const statsOf = (store: Store) =>
  run(store, 'select * from job_stats_hourly order by 1, 2, 3, 4, 5')
