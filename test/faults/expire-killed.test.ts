import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { addHold } from '../../src/archive/hold.ts'
import { toPartition } from '../../src/archive/layout.ts'
import { FolderPlace } from '../../src/archive/places/folder.ts'
import { connect } from '../../src/store/connect.ts'
import { archiveOld, expired, oldDay, oldEvent, shortly, verified } from '../archive/old-days.ts'
import { archiver, names } from '../archive/role.ts'
import { run } from '../archive/support.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, program, until } from '../support/processes.ts'

/* `wafermon archive expire`, killed at every step of its order. */

const strace = {
  skip: existsSync('/usr/bin/strace') ? false : 'strace is not installed: apt-get install strace',
}

/** A day of 2009 with a file of events and one of jobs, both past their years. */
async function anOldDay(t: TestContext) {
  const { url } = await freshDatabase(t)
  const store = connect(url, { role: 'test', max: 2 })
  t.after(() => store.close())
  const dir = freshFolder()
  await archiveOld(store, dir, [oldEvent(2009, 1), oldEvent(2009, 2)])
  return { url, store, dir }
}

const left = (dir: string) =>
  ['event', 'job'].map((kind) => names(join(dir, kind, toPartition(oldDay(2009)))).length)

/** Runs it until it makes a call for the n-th time; the call is not carried out. */
async function dieAt(url: string, dir: string, call: string, n: number): Promise<void> {
  const output = join(freshFolder(), 'strace')
  const inject = `inject=${call}:signal=KILL:when=${n}`
  const traced = ['-f', '-o', output, '-e', `trace=${call}`, '-e', inject, process.execPath]
  const child = spawn('strace', [...traced, program, 'archive', 'expire', '--confirm'], {
    env: { PATH: process.env.PATH, DATABASE_URL: url, ARCHIVE_DIR: dir, UV_THREADPOOL_SIZE: '1' },
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await once(child, 'exit')
  assert.match(readFileSync(output, 'utf8'), /killed by SIGKILL/, `${call} ${n} was not reached`)
}

type Step = [call: string, n: number, what: string, files: number[], manifest: boolean]

const steps: Step[] = [
  ['link', 1, 'before the manifest has its name', [1, 1], false],
  ['unlink', 1, 'with the manifest named, before it is on record', [1, 1], true],
  ['unlink', 2, 'with all on record, before anything is deleted', [1, 1], true],
  ['unlink', 3, 'half deleted', [0, 1], true],
]

for (const [call, n, what, files, hasManifest] of steps) {
  test(
    `wafermon archive expire, killed ${what}, is finished by the next run`,
    strace,
    async (t) => {
      const { url, store, dir } = await anOldDay(t)
      await dieAt(url, dir, call, n)
      assert.deepEqual(left(dir), files)
      const between = await verified(store, dir)
      const isLeft = ({ problem }: { problem: string }) =>
        /deletes it for its age; the archiver deletes it/.test(problem)
      assert.ok(between.problems.every(isLeft), JSON.stringify(between.problems))
      assert.equal(between.days[0]?.expired?.event !== undefined, hasManifest)
      const lines = await expired(store, dir)
      assert.deepEqual(shortly(lines), hasManifest ? [] : ['fab1 2009-03-13 event,job: deleted'])
      assert.deepEqual(left(dir), [0, 0])
      assert.deepEqual((await verified(store, dir)).problems, [])
      for (const table of ['archive_file', 'archived_job', 'archive_removal', 'archive_intent']) {
        assert.equal((await run(store, `select from ${table}`)).length, 0, table)
      }
    },
  )
}

test(
  'wafermon archive expire, killed before it deletes, is finished by the archiver',
  strace,
  async (t) => {
    const { url, store, dir } = await anOldDay(t)
    await dieAt(url, dir, 'unlink', 2)
    const role = await archiver(t, url, dir)
    await until('the deletion', () => left(dir).every((n) => n === 0))
    await role.stop()
    assert.deepEqual((await verified(store, dir)).problems, [])
  },
)

test(
  'wafermon archive expire, killed before it deletes, deletes nothing that is held by then',
  strace,
  async (t) => {
    const { url, store, dir } = await anOldDay(t)
    const before = await verified(store, dir)
    await dieAt(url, dir, 'unlink', 2)
    const scope = { site: 'fab1', from: null, to: null, key: 'LOT-1' }
    await addHold(new FolderPlace(dir), scope, { reason: 'recall', by: 'legal' })
    const role = await archiver(t, url, dir)
    await until(
      'its return',
      async () => (await run(store, 'select from archive_file')).length === 2,
    )
    await role.stop()
    assert.deepEqual(left(dir), [1, 1])
    // Written again, twice: without its files, and with them.
    const days = before.days.map((day) => ({ ...day, version: 3 }))
    assert.deepEqual(await verified(store, dir), { ...before, days })
    assert.equal((await run(store, 'select from archived_job')).length, 2)
  },
)
