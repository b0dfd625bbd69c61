import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { newState } from '../../src/archive/archiver-state.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import type { Place } from '../../src/archive/places/place.ts'
import { describeArchiver } from '../../src/archive/report.ts'
import { dueNow, monthlySample } from '../../src/archive/sample.ts'
import { keepUp } from '../../src/archive/upkeep.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import type { Store } from '../../src/store/connect.ts'
import { readTrends } from '../../src/store/disk-room.ts'
import { freshFolder } from '../support/processes.ts'
import { archived, closedDay, eventAt, leaseOf, log, run } from './support.ts'

const day = 24 * 3600
const { signal } = new AbortController()

/** An archive of one day, of two files. */
async function anArchive(t: TestContext) {
  const { store } = await closedDay(t, [eventAt(1), eventAt(2)])
  const dir = freshFolder()
  const { files } = await archived(store, dir)
  const metrics = new Metrics()
  const keptUp = (place: Place = new FolderPlace(dir)) =>
    keepUp({ lease: leaseOf(store) as never, place, keep: [], log, metrics, signal })
  return { store, dir, files, keptUp, metrics }
}

const checked = async (store: Store) =>
  (await run(store, 'select path from archive_file where checked_at is not null')).length

/** As if all that was read had been read a month ago. */
const aMonthAgo = (store: Store) =>
  run(store, `update archive_file set checked_at = checked_at - interval '31 days'`)

describe('the sample of the archive', () => {
  test('is a hundredth of its files in a month, at an even pace whenever it is asked for', () => {
    for (const files of [1, 99, 100, 1000, 438_000]) {
      let [checked, last] = [0, Number.NaN]
      for (let now = 0; now < 30 * day; now += 3600) {
        const sinceS = Number.isNaN(last) ? null : now - last
        const due = dueNow({ files, checked, sinceS, lastAt: null })
        if (due > 0) last = now
        checked += due
        assert.ok(
          due <= Math.max(1, Math.ceil((monthlySample(files) * 2) / 720)),
          `${files}: ${due}`,
        )
      }
      const target = monthlySample(files)
      assert.ok(checked <= target && checked >= Math.floor(0.8 * target), `${files}: ${checked}`)
    }
    assert.equal(dueNow({ files: 0, checked: 0, sinceS: null, lastAt: null }), 0)
    const away = { files: 438_000, checked: 0, sinceS: 400 * day, lastAt: null }
    assert.equal(dueNow(away), 20, 'and never much in one round')
  })

  test('is read whole, remembered, and not read again before its time', async (t) => {
    const { store, keptUp } = await anArchive(t)
    const { sample, failing } = await keptUp()
    assert.deepEqual([sample?.files, sample?.checked, failing.count], [2, 1, 0])
    await keptUp()
    assert.equal(await checked(store), 1)
    await aMonthAgo(store)
    await keptUp()
    assert.equal(
      (await run(store, `select from archive_file where checked_at > now() - interval '1 day'`))
        .length,
      1,
    )
  })

  test('shows a file that has rotten until it reads back again', async (t) => {
    const { dir, files, store, keptUp, metrics } = await anArchive(t)
    const whole = files.map(({ path }) => [join(dir, path), readFileSync(join(dir, path))] as const)
    for (const [path, bytes] of whole) {
      const rotten = Buffer.from(bytes)
      rotten[100]! ^= 1
      writeFileSync(path, rotten)
    }
    const bad = await keptUp()
    assert.equal(bad.failing.count, 1)
    assert.match(bad.failing.first[0]?.problem ?? '', /^reads back differently: its SHA-256 is/)
    const state = { ...newState(), upkeep: bad }
    const health = await describeArchiver(state, store, new FolderPlace(dir))
    assert.equal(health.status, 'degraded')
    assert.match(
      String(health.faults),
      /archived files do not read back: 1; restore them from a copy/,
    )
    const read = async () =>
      (await metrics.registry.metrics()).match(/^wafermon_archive_failing_files .*$/m)?.[0]
    assert.equal(await read(), 'wafermon_archive_failing_files 1')
    for (const [path, bytes] of whole) writeFileSync(path, bytes)
    assert.equal((await keptUp()).failing.count, 0)
    assert.equal(await read(), 'wafermon_archive_failing_files 0')
  })

  test('calls no file damaged while the archive is away', async (t) => {
    const { dir, store, keptUp } = await anArchive(t)
    const away = new (class extends FolderPlace {
      override async read(): Promise<never> {
        const { AppError } = await import('../../src/core/errors.ts')
        throw new AppError('unavailable', 'the store does not answer')
      }
    })(dir)
    await assert.rejects(keptUp(away), /does not answer/)
    assert.equal(await checked(store), 0)
  })
})

describe('the days until a disk is full', () => {
  const measured = (store: Store, hours: number, freeAt: (hoursAgo: number) => number) =>
    run(
      store,
      `insert into disk_room values ${Array.from({ length: hours + 1 }, (_, ago) => `('archive', now() - interval '${ago} hours', ${freeAt(ago)}, 1000000)`)}`,
    )

  test('are not known before a day was measured, or where nothing can be', async (t) => {
    const { store, keptUp, dir } = await anArchive(t)
    const bucket = new (class extends FolderPlace {
      override room() {
        return Promise.resolve(undefined)
      }
    })(dir)
    assert.deepEqual((await keptUp(bucket)).disks, [])
    const [first] = (await keptUp()).disks
    assert.equal(first?.days_left, null)
    assert.equal(first?.why, 'it has been measured for less than a day')
    assert.ok((first?.free_bytes ?? 0) > 0)
    await keptUp()
    assert.equal((await run(store, 'select from disk_room')).length, 1, 'once an hour')
  })

  test('follow from how it has filled, and make the archiver degraded when they are few', async (t) => {
    const { store, dir } = await anArchive(t)
    await measured(store, 48, (ago) => 100_000 + ago * 1000)
    const [trend] = await readTrends(store)
    assert.deepEqual([trend?.free_bytes, trend?.days_left, trend?.why], [100_000, 4, null])
    const upkeep = { ...newState().upkeep, disks: trend ? [trend] : [] }
    const health = await describeArchiver({ ...newState(), upkeep }, store, new FolderPlace(dir))
    assert.equal(health.status, 'degraded')
    assert.match(
      String(health.faults),
      /the disk of the archive is full in 4 days at the pace of the last week/,
    )
    await run(store, 'delete from disk_room')
    await measured(store, 48, () => 100_000)
    assert.equal((await readTrends(store))[0]?.why, 'it does not fill up')
  })
})
