import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { pino } from 'pino'
import { Archiver } from '../../src/archive/archiver.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { openLease } from '../../src/store/lease.ts'
import { freshFolder } from '../support/processes.ts'
import { closedDay, eventAt, expire, run } from './support.ts'

test('the archiver writes and drops nothing while the time is in doubt, and says why', async (t) => {
  const { store, url } = await closedDay(t, [eventAt(1), eventAt(2)])
  await expire(store)
  const dir = freshFolder()
  const lease = openLease(url, 'archive', { role: 'archiver' })
  t.after(() => lease.close())
  const archiver = new Archiver({
    ...{ lease, place: new FolderPlace(dir), site: undefined },
    ...{ intervalMs: 1000, retentionHours: 72, lateHours: 24, keep: [], metrics: new Metrics() },
    ...{ log: pino({ level: 'silent' }), signal: new AbortController().signal },
  })
  await run(store, `update horizon set doubt = 'the clock was set'`)
  assert.equal(await archiver.round(), false)
  assert.equal(archiver.state.trouble, 'the clock was set')
  assert.deepEqual(readdirSync(dir), [])

  await run(store, 'update horizon set doubt = null')
  assert.equal(await archiver.round(), true)
  assert.equal(archiver.state.trouble, undefined)
  assert.equal(archiver.state.days, 1)
  const [left] = await run(store, 'select count(*)::int as n from event')
  assert.equal(left?.n, 0, 'archived, and past retention')
})
