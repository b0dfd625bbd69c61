import assert from 'node:assert/strict'
import { readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { addHold, type HoldScope, releaseHold } from '../../src/archive/hold.ts'
import { toPartition } from '../../src/archive/layout.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import type { Staged } from '../../src/archive/places/place.ts'
import type { Store } from '../../src/store/connect.ts'
import { connect } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder } from '../support/processes.ts'
import {
  archiveOld,
  expired,
  leaveHot,
  oldDay,
  oldEvent,
  planned,
  shortly,
  verified,
} from './old-days.ts'
import { archivedAll, run } from './support.ts'

/** An archive of 2009, 2014 and 2020: of 17, 12 and 6 years. */
async function anOldArchive(t: TestContext) {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  const dir = freshFolder()
  const events = [2009, 2014, 2020].flatMap((year) => [
    oldEvent(year, 1, 'LOT-1'),
    oldEvent(year, 2, 'LOT-2'),
  ])
  await archiveOld(store, dir, events)
  return { store, dir }
}

const files = (dir: string, kind: string, year: number) => {
  try {
    return readdirSync(join(dir, kind, toPartition(oldDay(year)))).length
  } catch {
    return 0
  }
}

const jobsOf = async (store: Store, year: number) =>
  (await run(store, `select id from archived_job where day = '${year}-03-13'`)).length

const all: HoldScope = { site: null, from: null, to: null, key: null }
const who = { reason: 'litigation', by: 'legal' }
const holdOf = (dir: string, scope: Partial<HoldScope>) =>
  addHold(new FolderPlace(dir), { ...all, ...scope }, who)

describe('a day that is past its years', () => {
  test('loses the kinds that are, and says who deleted them, when and why', async (t) => {
    const { store, dir } = await anOldArchive(t)
    assert.deepEqual(shortly(await planned(store, dir)), [
      'fab1 2009-03-13 event,job: due',
      'fab1 2014-03-13 event: due',
    ])
    assert.equal(files(dir, 'event', 2009), 1, 'a dry run deletes nothing')
    const [first] = await expired(store, dir)
    assert.equal(first?.reason, 'past its years (event=10,job=15)')
    const left = [2009, 2014, 2020].map((year) => [
      files(dir, 'event', year),
      files(dir, 'job', year),
    ])
    assert.deepEqual(left, [
      [0, 0],
      [0, 1],
      [1, 1],
    ])
    assert.deepEqual(
      await Promise.all([2009, 2014, 2020].map((year) => jobsOf(store, year))),
      [0, 2, 2],
    )
    const { days, problems } = await verified(store, dir)
    assert.deepEqual(problems, [])
    const [, middle] = days
    assert.deepEqual(middle?.rows, { event: 0, job: 2, subjob: 0 })
    const { at = '', bytes = 0, ...said } = middle?.expired?.event ?? {}
    const why = 'past its years (event=10)'
    assert.deepEqual(said, { number: 2, by: 'ops', why, files: 1, rows: 2, late_events: 2 })
    assert.ok(at > '2026' && bytes > 1000)
    assert.deepEqual(await expired(store, dir), [], 'nothing is left to do')
  })

  test('has years of its own at each site, and may be kept forever', async (t) => {
    const { store, dir } = await anOldArchive(t)
    assert.deepEqual(shortly(await planned(store, dir, 'event=5,fab1:event=13')), [
      'fab1 2009-03-13 event,job: due',
    ])
    assert.deepEqual(shortly(await planned(store, dir, 'event=5,fab1:event=forever,job=18')), [])
    assert.equal((await planned(store, dir, 'event=1')).length, 3)
  })

  test('stays while the hot store has something that lies in it', async (t) => {
    const { store, dir } = await anOldArchive(t)
    await ingest(store, [oldEvent(2014, 9)])
    const kept = (lines: Awaited<ReturnType<typeof planned>>) =>
      lines.find(({ day }) => day === '2014-03-13')
    assert.equal(kept(await expired(store, dir))?.reason, 'late events wait for the archive')
    await archivedAll(store, dir)
    assert.equal(
      kept(await expired(store, dir))?.reason,
      'the hot store still has jobs that lie in it',
    )
    assert.equal(files(dir, 'event', 2014), 2)
    await leaveHot(store)
    assert.equal(kept(await expired(store, dir))?.outcome, 'deleted')
    assert.deepEqual((await verified(store, dir)).problems, [])
  })

  test('stays while the time is in doubt', async (t) => {
    const { store, dir } = await anOldArchive(t)
    await run(store, `update horizon set doubt = 'the clock was set'`)
    await assert.rejects(expired(store, dir), /nothing is deleted: the clock was set/)
    assert.equal(files(dir, 'event', 2009), 1)
  })
})

describe('a hold', () => {
  test('of a range keeps its days, and no others', async (t) => {
    const { store, dir } = await anOldArchive(t)
    await holdOf(dir, { site: 'fab1', from: '2014-03-13', to: '2014-03-13' })
    const lines = await expired(store, dir)
    assert.deepEqual(shortly(lines), [
      'fab1 2009-03-13 event,job: deleted',
      'fab1 2014-03-13 event: held',
    ])
    assert.match(lines[1]?.reason ?? '', /^hold \d{8}-[0-9a-f]{8} \(litigation\)$/)
    assert.equal(files(dir, 'event', 2014), 1)
  })

  test('of a key keeps the days that have it, whole, until it is released', async (t) => {
    const { store, dir } = await anOldArchive(t)
    await ingest(store, [oldEvent(2013, 1, 'LOT-3')])
    await archivedAll(store, dir)
    await leaveHot(store)
    const { id } = await holdOf(dir, { site: 'fab1', key: 'LOT-2' })
    await holdOf(dir, { site: 'fab2', key: 'LOT-3' })
    const deleted = ['fab1 2013-03-13 event: deleted']
    const held = ['fab1 2009-03-13 event,job: held', 'fab1 2014-03-13 event: held']
    assert.deepEqual(shortly(await expired(store, dir)), [held[0], ...deleted, held[1]])
    await releaseHold(new FolderPlace(dir), id, who)
    assert.deepEqual(
      (await expired(store, dir)).map(({ outcome }) => outcome),
      ['deleted', 'deleted'],
    )
  })

  test('that is placed between a dry run and the deletion is kept', async (t) => {
    const { store, dir } = await anOldArchive(t)
    assert.equal((await planned(store, dir)).length, 2)
    await holdOf(dir, { key: 'LOT-1' })
    assert.ok((await expired(store, dir)).every(({ outcome }) => outcome === 'held'))
    assert.equal(files(dir, 'event', 2009), 1)
  })

  test('that is placed after the manifest, before the deletion, brings the day back', async (t) => {
    const { store, dir } = await anOldArchive(t)
    const before = await verified(store, dir)
    const place = new (class extends FolderPlace {
      override async putOnce(name: string, staged: Staged) {
        await super.putOnce(name, staged)
        if (name.startsWith('_manifest/')) await holdOf(dir, { to: '2009-12-31', key: 'LOT-2' })
      }
    })(dir)
    const [line] = await expired(store, place)
    assert.equal(line?.outcome, 'held')
    const { days, problems } = await verified(store, dir)
    assert.deepEqual(problems, [])
    // Written again, twice: without its files, and with them.
    assert.deepEqual(days[0], { ...before.days[0], version: 3 })
    assert.equal(await jobsOf(store, 2009), 2)
  })

  test('that brings a day back on a disk that fails then forks no chain', async (t) => {
    const { store, dir } = await anOldArchive(t)
    let fails = 1
    const place = new (class extends FolderPlace {
      override async putOnce(name: string, staged: Staged) {
        await super.putOnce(name, staged)
        if (name.startsWith('_manifest/')) await holdOf(dir, { to: '2009-12-31' })
      }
      // The manifest that names it again is there, and its record is not.
      override async read(path: string) {
        const isBack = path.startsWith(`job/${toPartition(oldDay(2009))}`) && manifests() === 3
        return isBack && fails-- > 0 ? undefined : super.read(path)
      }
    })(dir)
    const manifests = () => readdirSync(join(dir, '_manifest', toPartition(oldDay(2009)))).length
    assert.deepEqual(shortly(await expired(store, place)), [
      'fab1 2009-03-13 event,job: failed',
      'fab1 2014-03-13 event: deleted',
    ])
    assert.deepEqual((await verified(store, dir)).problems, [])
    assert.equal(await jobsOf(store, 2009), 2)
  })

  test('that cannot be read keeps everything', async (t) => {
    const { store, dir } = await anOldArchive(t)
    const { id } = await holdOf(dir, { site: 'fab9' })
    writeFileSync(join(dir, '_hold', id, '00002.json'), '{')
    const lines = await expired(store, dir)
    assert.deepEqual(new Set(lines.map(({ outcome }) => outcome)), new Set(['failed']))
    assert.match(lines[0]?.reason ?? '', /_hold\/.*00002.json is not JSON, so it may hold anything/)
    assert.equal(files(dir, 'event', 2009), 1)
    assert.match((await verified(store, dir)).problems[0]?.problem ?? '', /is not JSON/)
  })
})
