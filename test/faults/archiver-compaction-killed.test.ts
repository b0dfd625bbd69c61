import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { toPartition } from '../../src/archive/layout.ts'
import { crowd, crowdedDay } from '../archive/crowded-day.ts'
import { archiver, hadRound, verify } from '../archive/role.ts'
import { dieAt, needsStrace } from '../archive/strace-role.ts'
import { dayAt, duck } from '../archive/support.ts'
import { until } from '../support/processes.ts'

/* An archiver that is killed while it compacts a day in a folder. Its deletions come after three unlinks of `_tmp`. */

const ddl = readFileSync(new URL('../../sql/archive/duckdb.sql', import.meta.url), 'utf8')

const steps = [
  ['link', 1, 'with all files read back and none named', /^$/],
  ['link', 3, 'with all files named, before the manifest', /is not named by any manifest/],
  ['unlink', 3, 'with the manifest named, before it is on record', /is left over/],
  ['unlink', 4, 'compacted, old files there', /is left over/],
  ['unlink', 9, 'half deleted', /is left over/],
] as const

test('wafermon archiver, killed while it compacts a day', needsStrace, async (t) => {
  const { store, url, dir, place, busy } = await crowdedDay(t)
  for (const [i, [call, when, what, left]] of steps.entries()) {
    if (i > 0) await crowd(store, place, busy)
    await t.test(`${what}, loses and doubles nothing`, async (t) => {
      const old = filesOf(dir)
      const before = await contents(dir)
      await dieAt(url, dir, call, when)
      const problems = verify(dir).problems.map(({ problem }) => problem)
      assert.equal(problems.length > 0, what.startsWith('with all files read back') === false)
      for (const problem of problems) assert.match(problem, left)
      const stillThere = filesOf(dir).filter((path) => old.includes(path)).length
      assert.equal(stillThere, what === 'half deleted' ? old.length - 5 : old.length)
      await goOn(t, url, dir)
      assert.deepEqual(verify(dir).problems, [])
      assert.deepEqual(await contents(dir), before)
      assert.equal(filesOf(dir).length, 2)
    })
  }
})

const filesOf = (dir: string) =>
  ['event', 'job'].flatMap((kind) =>
    readdirSync(join(dir, kind, toPartition(dayAt()))).map((name) => `${kind}/${name}`),
  )

/** The next archiver, for one round. */
async function goOn(t: TestContext, url: string, dir: string): Promise<void> {
  const role = await archiver(t, url, dir)
  await until('its round', () => hadRound(role))
  await role.stop()
}

const contents = async (dir: string) => ({
  events: await duck(ddl, `from archived_event('${dir}') order by event_at, idempotency_key`),
  jobs: await duck(ddl, `from archived_job('${dir}') order by dt, job_id`),
})
