import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { toPartition } from '../../src/archive/layout.ts'
import type { Store } from '../../src/store/connect.ts'
import { ingest } from '../../src/store/ingest.ts'
import {
  archiver,
  bothSides,
  hasManifest,
  names,
  rowsNoted,
  some,
  verify,
} from '../archive/role.ts'
import { dieAt, needsStrace, traced } from '../archive/strace-role.ts'
import { archived, closedDay, dayAt, duck, eventAt, run, wait } from '../archive/support.ts'
import { freshFolder, until } from '../support/processes.ts'

/** Calls of the system at which it dies, before they are carried out: every step of the order. */
const steps = [
  ['fsync', 1, 'with the first file written'],
  ['fsync', 2, 'with the second file written'],
  ['link', 1, 'with all files read back and none named'],
  ['unlink', 1, 'with the first file named'],
  ['link', 2, 'between two files'],
  ['fsync', 'of the manifest', 'with all files named, before the manifest'],
  ['link', 3, 'before the manifest has its name'],
  ['unlink', 3, 'with the manifest named, before the files are on record'],
] as const

/** As if nothing had been archived: for another folder. */
const forgetArchive =
  'truncate archive_file, archive_manifest, archived_job, archive_move, archive_removal, archive_intent'

const ddl = readFileSync(new URL('../../sql/archive/duckdb.sql', import.meta.url), 'utf8')

test('wafermon archiver, killed', needsStrace, async (t) => {
  const { store, url } = await closedDay(t, some(700))
  for (const [call, when, what] of steps) {
    await t.test(`${what}, leaves nothing that counts or a whole day`, async (t) => {
      const dir = freshFolder()
      await run(store, forgetArchive)
      await dieAt(
        url,
        dir,
        call,
        when === 'of the manifest' ? await manifestSync(url, store) : when,
      )
      assert.equal(await rowsNoted(store), 0)
      const counts = hasManifest(dir)
      assert.equal(counts, what.startsWith('with the manifest named'))
      if (counts) assert.deepEqual(verify(dir).problems, [])
      await assertGoesOn(t, store, url, dir)
    })
  }

  await t.test('and with its jobs changed before the next run, leaves no old file', async (t) => {
    const dir = freshFolder()
    await run(store, forgetArchive)
    await dieAt(url, dir, 'link', 3)
    const folder = join(dir, 'job', toPartition(dayAt()))
    const before = names(folder)
    await run(store, 'update job set error_count = error_count + 1')
    await assertGoesOn(t, store, url, dir)
    assert.equal(names(folder).length, 1)
    assert.notDeepEqual(names(folder), before)
  })
})

/** The next run ends with exactly one complete day, on record, and nothing besides. */
async function assertGoesOn(t: TestContext, store: Store, url: string, dir: string) {
  const role = await archiver(t, url, dir)
  await until('the day', async () => (await rowsNoted(store)) === 1400)
  await role.stop()
  const { problems, days } = verify(dir)
  assert.deepEqual(problems, [])
  assert.deepEqual(
    days.map(({ rows }) => rows),
    [{ event: 700, job: 700, subjob: 0 }],
  )
  assert.deepEqual(names(join(dir, '_tmp/site=fab1')), [])
  const { archived, hot } = await bothSides(store, dir)
  assert.deepEqual(archived, hot)
}

test('wafermon archiver, killed with more of an archived day', needsStrace, async (t) => {
  const { store, url } = await closedDay(t, some(3))
  const dir = freshFolder()
  const moving = eventAt(0, {}, 13)
  await ingest(store, [moving])
  await archived(store, dir)

  await t.test(
    'named, before it is on record, takes it up and drops no late event twice',
    async (t) => {
      const late = [eventAt(50), eventAt(60)]
      await ingest(store, late)
      await wait(store)
      await dieAt(url, dir, 'unlink', 3)
      assert.ok(hasManifest(dir, 13, 'fab1', 2))
      assert.equal((await run(store, 'select from event_late')).length, 2)
      const role = await archiver(t, url, dir)
      await until(
        'the record',
        async () => (await run(store, 'select from event_late')).length === 0,
      )
      await role.stop()
      assert.deepEqual(verify(dir).problems, [])
      const keys = await duck(
        `select idempotency_key as k from read_parquet('${dir}/event/*/*/*.parquet')`,
      )
      assert.deepEqual([keys.length, new Set(keys.map(({ k }) => k)).size], [6, 6])
      const [row] = await run(store, 'select max(event_count) as n from job')
      assert.equal(row?.n, 1, 'none was taken back')
    },
  )

  await t.test('whose job has moved, before its old day says so, says it then', async (t) => {
    const end = eventAt(5, { ended_at: '2026-03-12T10:00:00.000000Z' })
    await ingest(store, [{ ...end, entity: moving.entity }])
    await wait(store)
    const lies = async () =>
      (
        await duck(
          ddl,
          `select dt::varchar as dt from archived_job('${dir}') where job_id = '${moving.entity.id}' order by 1`,
        )
      ).map(({ dt }) => dt)
    // The job's file and manifest of the 12th, then the event's of the 13th and the first file that says it moved.
    await dieAt(url, dir, 'link', 4)
    assert.deepEqual(await lies(), ['2026-03-12', '2026-03-13'])
    const role = await archiver(t, url, dir)
    await until('its old day', async () => (await lies()).length === 1)
    await until(
      'the record',
      async () => (await run(store, 'select from archive_move')).length === 0,
    )
    await role.stop()
    assert.deepEqual(await lies(), ['2026-03-12'])
    assert.deepEqual(verify(dir).problems, [])
  })
})

test(
  'wafermon archiver, suspended while another takes over, damages nothing',
  needsStrace,
  async (t) => {
    const { store, url } = await closedDay(t, some(700))
    const dir = freshFolder()
    // It stops with everything written and read back, right before it names the first file.
    const sleeper = traced(url, dir, ['-e', 'trace=link', '-e', 'inject=link:signal=STOP:when=1'])
    await until('its sleep', () => /SIGSTOP/.test(sleeper.calls()))
    await run(
      store,
      `select pg_terminate_backend(pid) from pg_locks
     where locktype = 'advisory' and objid = 7005 and granted
       and database = (select oid from pg_database where datname = current_database())`,
    )
    await run(store, 'update job set error_count = error_count + 1')
    const other = await archiver(t, url, dir)
    await until('the day', async () => (await rowsNoted(store)) === 1400)
    const [file] = await run(store, `select path from archive_file where kind = 'job'`)
    process.kill(sleeper.pid(), 'SIGCONT')
    await until('its round', () => /"archiving failed/.test(sleeper.logs()))
    process.kill(sleeper.pid(), 'SIGTERM')
    await sleeper.ended
    await other.stop()
    assert.deepEqual(verify(dir).problems, [])
    assert.deepEqual(
      names(join(dir, 'job', toPartition(dayAt()))).map((name) => name),
      [String(file?.path).split('/').at(-1)],
    )
    const { archived, hot } = await bothSides(store, dir)
    assert.deepEqual(archived, hot)
  },
)

/** Which fsync is that of the manifest: the last one but those of its folders. */
async function manifestSync(url: string, store: Store): Promise<number> {
  const dir = freshFolder()
  const run1 = traced(url, dir, ['-e', 'trace=fsync,link', '-y'])
  await until('the day', () => /"day archived/.test(run1.logs()))
  process.kill(run1.pid(), 'SIGTERM')
  await run1.ended
  await run(store, forgetArchive)
  const lines = run1
    .calls()
    .split('\n')
    .filter((line) => /\b(fsync|link)\(/.test(line))
  const manifest = lines.findIndex((line) => line.includes('manifest.json'))
  assert.ok(manifest > 0, run1.calls())
  return lines.slice(0, manifest + 1).filter((line) => line.includes('fsync(')).length
}
