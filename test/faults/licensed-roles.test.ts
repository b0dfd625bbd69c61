import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fromMs } from '../../src/core/time.ts'
import { archiver, verify } from '../archive/role.ts'
import { takeIn } from '../archive/support.ts'
import { freshFolder, launch, startRole, until } from '../support/processes.ts'
import { anEvent, openOn, run } from '../support/store.ts'
import { needsTsl, startTsl } from '../support/tsl.ts'

/* The roles as processes on a database under the Timescale licence. */

test('migrate, local-api and archiver work under the Timescale licence', needsTsl, async (t) => {
  const { url } = await startTsl(t)
  const env = { DATABASE_URL: url }
  const migrating = launch(['migrate'], env)
  assert.deepEqual(await migrating.ended, { code: 0, signal: null }, migrating.logs())
  const store = openOn(t, url, { max: 1 })
  const [view] = await run(
    store,
    `select count(*)::int as n from pg_class where relkind = 'v' and relname ~ '^(job|event)_stats_(daily|weekly|monthly)$'`,
  )
  assert.equal(view?.n, 6)

  // A closed day, which the archiver takes.
  const day = Array.from({ length: 20 }, (_, n) =>
    anEvent(`2026-03-13T0${n % 10}:00:00.000000Z`, {
      kind: 'finished',
      metrics: { duration_s: n },
      metadata: { tool: 'SCN-1' },
    }),
  )
  await takeIn(store, day)
  await run(store, `update horizon set trusted_at = now()`)
  const dir = freshFolder()
  const archiving = await archiver(t, url, dir)
  await until(
    'the day',
    async () => {
      const [files] = await run(store, 'select sum(rows)::int as n from archive_file')
      return files?.n === 40
    },
    60_000,
  )
  await archiving.stop()
  assert.deepEqual(verify(dir).problems, [])

  await run(
    store,
    `update horizon set frozen_before = now() - interval '48 hours', open_until = date_trunc('day', now()) + interval '2 days'`,
  )
  const api = await startRole(t, 'local-api', { ...env, ARCHIVE_DIR: dir })
  const events = Array.from({ length: 50 }, (_, n) => {
    const { received_at: __, ...event } = anEvent(fromMs(Date.now() - n * 60_000), {
      kind: 'finished',
    })
    return event
  })
  const post = () =>
    fetch(`${api.url}/v1/ingest/events:batch`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(events),
    }).then((response) => response.json() as Promise<{ success: number }>)
  assert.equal((await post()).success, 50)
  await post()
  const get = async (path: string) =>
    (await (await fetch(`${api.url}${path}`)).json()) as { items: { count: number }[] }
  const spring = '/v1/stats?bucket=month&from=2026-01-01T00:00:00Z&to=2026-04-01T00:00:00Z'
  await until(
    'the rollups',
    async () => {
      const { items } = await get(spring)
      return items.reduce((sum, { count }) => sum + count, 0) === 20
    },
    60_000,
  )
  assert.equal((await get('/v1/jobs?limit=100')).items.length, 50)
  const health = (await (await fetch(`${api.url}/v1/healthz`)).json()) as { status: string }
  assert.equal(health.status, 'ok', JSON.stringify(health))
  assert.deepEqual(await api.stop(), { code: 0, signal: null })
})
