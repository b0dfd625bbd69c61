import assert from 'node:assert/strict'
import { mkdirSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { ArchiveHost } from '../../src/archive/history/host.ts'
import type { DayBatch, DayQuestion } from '../../src/archive/history/source.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { freshFolder, until } from '../support/processes.ts'
import { dayAt } from './support.ts'
import { jobRow, writeDay } from './written-day.ts'

const { signal } = new AbortController()
const day = dayAt(13)
const question: DayQuestion = { kind: 'job', day: '2026-03-13', site: 'fab1' }

/** A thread over a folder with a day of some jobs, and what it says is wrong. */
async function aHost(t: TestContext, jobs: number) {
  const dir = join(freshFolder(), 'archive')
  mkdirSync(dir)
  const rows = Array.from({ length: jobs }, (_, n) => jobRow(day, n))
  await writeDay(new FolderPlace(dir), day, [{ kind: 'job', rows }])
  const troubles: string[] = []
  const host = new ArchiveHost({ ARCHIVE_DIR: dir }, (why) => troubles.push(why))
  t.after(() => host.close())
  const read = async (endsIn = 20_000, stop = signal) => {
    await host.open(stop)
    return collect(host.readDay(question, performance.now() + endsIn, stop))
  }
  return { dir, host, troubles, read }
}

async function collect(batches: AsyncIterable<DayBatch>): Promise<number> {
  let rows = 0
  for await (const batch of batches) rows += batch.rows.length
  return rows
}

describe('the reader of the archive in its thread', () => {
  test('hands over the rows of a day in batches, to many that ask at the same time', async (t) => {
    const { read } = await aHost(t, 2500)
    assert.deepEqual(await Promise.all([read(), read(), read()]), [2500, 2500, 2500])
  })

  test('a place that cannot be read is left alone for a while', async (t) => {
    const { dir, troubles, read } = await aHost(t, 3)
    renameSync(dir, `${dir}-away`)
    const away = { code: 'unreachable', message: /there is no folder/ }
    await assert.rejects(read(), away)
    renameSync(`${dir}-away`, dir)
    await assert.rejects(read(), away)
    assert.equal(troubles.length, 1)
  })

  test('a caller that leaves, or stops in the middle, leaves it as it was', async (t) => {
    const { host, read, troubles } = await aHost(t, 2500)
    const leaving = new AbortController()
    const left = assert.rejects(read(20_000, leaving.signal), /left/)
    leaving.abort(new Error('left'))
    await left
    for await (const { rows } of host.readDay(question, performance.now() + 20_000, signal)) {
      assert.ok(rows.length > 0)
      break
    }
    assert.equal(await read(), 2500)
    assert.deepEqual(troubles, [])
  })

  test('a thread that is busy with others is not taken for a place that is away', async (t) => {
    const { read, troubles } = await aHost(t, 2500)
    await read()
    const all = await Promise.allSettled([
      ...Array.from({ length: 6 }, () => read()),
      ...Array.from({ length: 10 }, () => read(20)),
    ])
    const late = all.filter(({ status }) => status === 'rejected')
    assert.deepEqual(troubles, [], `${late.length} were late`)
    assert.ok(late.length > 0)
    for (const one of late) assert.match(String((one as PromiseRejectedResult).reason), /is busy/)
    assert.equal(await read(), 2500)
  })

  test('an answer that comes too late is an archive that is away', async (t) => {
    const { read, troubles } = await aHost(t, 3)
    await assert.rejects(read(0), { code: 'unreachable', message: /did not answer in time/ })
    await until('the trouble', () => troubles.length === 1)
  })
})
