import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { connect, type Store } from '../../src/store/connect.ts'
import { freshDatabase } from './database.ts'
import { freshFolder, type Running, startRole, until } from './processes.ts'

/** A sidecar and the local API that it delivers to, as they are shipped, over a database of their own. */
export type Site = {
  sidecar: Running
  api: Running
  store: Store
  /** The sidecar's folder. */
  spoolDir: string
}

export async function startSite(
  t: Pick<TestContext, 'after'>,
  env: Record<string, string> = {},
): Promise<Site> {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  const api = await startRole(t, 'local-api', { DATABASE_URL: url, ...env })
  const spoolDir = freshFolder()
  const sidecar = await startRole(t, 'sidecar', {
    SPOOL_DIR: spoolDir,
    LOCAL_API_BASE: api.url,
    ...env,
  })
  return { sidecar, api, store, spoolDir }
}

export const ask = (store: Store, statement: string) =>
  store.ask({ operation: 'test', table: 'none' }, (sql) => sql.unsafe(statement))

/** Distinct events that the site has stored. */
export async function countStored(store: Store): Promise<number> {
  const rows = await ask(
    store,
    'select ((select count(*) from event) + (select count(*) from event_late))::int as n',
  )
  return (rows[0] as unknown as { n: number }).n
}

export type SidecarHealth = {
  status: string
  trouble?: string
  spool_count: number
  damaged?: { movedTo: string; reason: string; salvaged: number; unreadable: number }
  sinks: { 'local-api': { failures: number; reason?: string; rejects: number } }
}

export async function healthOf(url: string): Promise<SidecarHealth> {
  return (await fetch(`${url}/v1/healthz`)).json() as Promise<SidecarHealth>
}

export const drained = (url: string, deadlineMs = 60_000) =>
  until('the spool to be empty', async () => (await healthOf(url)).spool_count === 0, deadlineMs)

/** The local API has taken every event: none waits and none was set aside. */
export async function assertAllTaken({ sidecar }: Pick<Site, 'sidecar'>): Promise<void> {
  await drained(sidecar.url)
  const answer = await (await fetch(`${sidecar.url}/v1/rejects`)).json()
  assert.deepEqual((answer as { items: unknown[] }).items, [])
}
