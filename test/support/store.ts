import type { TestContext } from 'node:test'
import type { Event } from '../../src/core/event.ts'
import { connect, type Pool, type Store, type StoreOptions } from '../../src/store/connect.ts'
import { type Edition, freshDatabase } from './database.ts'

/** A store on a database of its own, with all migrations. */
export async function openStore(
  t: Pick<TestContext, 'after'>,
  edition: Edition,
  options: Partial<StoreOptions> = {},
): Promise<{ store: Pool; url: string }> {
  const { url } = await freshDatabase(t, { edition })
  return { store: openOn(t, url, options), url }
}

/** Another store on a database that is there. */
export function openOn(
  t: Pick<TestContext, 'after'>,
  url: string,
  options: Partial<StoreOptions> = {},
): Pool {
  const store = connect(url, { role: 'test', max: 4, ...options })
  t.after(() => store.close())
  return store
}

/** One statement, as text. */
export const run = (store: Store, statement: string): Promise<Record<string, unknown>[]> =>
  store.ask({ operation: 'test', table: 'none' }, (sql) => sql.unsafe(statement))

export const count = async (store: Store, from: string): Promise<number> =>
  Number((await run(store, `select count(*)::int as n from ${from}`))[0]?.n)

export async function readHorizon(store: Store) {
  const [row] = await run(store, 'select frozen_before, open_until, dropped_before from horizon')
  return row as { frozenBefore: string; openUntil: string; droppedBefore: string }
}

let made = 0

/** An event of a job of its own, unless told otherwise. */
export function anEvent(
  at: string,
  event: Partial<Event['event']> = {},
  {
    entity,
    ...envelope
  }: Partial<Omit<Event, 'entity'>> & { entity?: Partial<Event['entity']> } = {},
): Event {
  const n = String(++made).padStart(12, '0')
  return {
    idempotency_key: `d0000000-0000-4000-8000-${n}`,
    site_id: 'fab1',
    app: { app_id: 'a0000000-0000-4000-8000-000000000001', name: 'etch', version: '1' },
    entity: { type: 'job', id: `b0000000-0000-4000-8000-${n}`, ...entity } as Event['entity'],
    event: { kind: 'started', at, ...event },
    received_at: at,
    ...envelope,
  }
}
