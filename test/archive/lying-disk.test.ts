import assert from 'node:assert/strict'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import type { Event } from '../../src/core/event.ts'
import { connect, type Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, startRole, until } from '../support/processes.ts'

/* The archiver as it is shipped, on a disk that keeps other bytes than it was given. */

const lyingDisk = `
  import { open } from 'node:fs/promises'
  const file = await open(process.execPath)
  const handle = Object.getPrototypeOf(file)
  await file.close()
  const write = handle.writeFile
  handle.writeFile = function (bytes, ...rest) {
    const kept = Buffer.from(bytes)
    if (kept.subarray(0, 4).toString() === 'PAR1') kept[kept.length - 1] ^= 1
    return write.call(this, kept, ...rest)
  }`

const at = '2026-03-13T00:00:00.000001Z'
const event = (): Event => ({
  idempotency_key: crypto.randomUUID(),
  site_id: 'fab1',
  app: { app_id: crypto.randomUUID(), name: 'etch', version: '' },
  entity: { type: 'job', id: crypto.randomUUID() },
  event: { kind: 'finished', at },
  received_at: at,
})

const run = (store: Store, statement: string) =>
  store.ask({ operation: 'test', table: 'none' }, (sql) => sql.unsafe(statement))

/** A database with a day that is closed and in which nothing changed for long. */
async function closedDay(t: Parameters<typeof freshDatabase>[0]) {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  await run(store, `update horizon set frozen_before = '2026-03-01', open_until = '2026-03-15'`)
  await run(store, `select make_event_partitions('2026-03-01T00:00:00Z', '2026-03-15T00:00:00Z')`)
  await ingest(store, Array.from({ length: 20 }, event))
  await run(store, `update horizon set frozen_before = '2026-03-14T00:30:00Z'`)
  await run(store, `update job set updated_at = now() - interval '1 day'`)
  return { store, url }
}

const noted = async (store: Store) => (await run(store, 'select from archive_file')).length

describe('a day that does not read back', () => {
  test('is not in the archive, and on record nowhere, until it does', async (t) => {
    const { store, url } = await closedDay(t)
    const preload = join(freshFolder(), 'lying-disk.mjs')
    writeFileSync(preload, lyingDisk)
    const env = { DATABASE_URL: url, ARCHIVE_DIR: join(freshFolder(), 'archive') }
    const archiver = await startRole(t, 'archiver', { ...env, NODE_OPTIONS: `--import=${preload}` })
    await until('an attempt', async () => {
      const metrics = await (await fetch(`${archiver.url}/metrics`)).text()
      return /^wafermon_archive_failures_total [1-9]/m.test(metrics) || (await noted(store)) > 0
    })
    assert.equal(await noted(store), 0)
    assert.equal(existsSync(join(env.ARCHIVE_DIR, '_manifest/site=fab1')), false)
    await archiver.stop()
    await startRole(t, 'archiver', env)
    await until('the day', async () => (await noted(store)) === 2)
  })
})
