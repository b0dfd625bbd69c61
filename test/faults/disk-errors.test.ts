import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { freshDatabase } from '../support/database.ts'
import { freePort, freshFolder, launch, startRole, until } from '../support/processes.ts'
import { longTest } from '../support/short-form.ts'
import { assertAllTaken, countStored, healthOf, type Site, startSite } from '../support/site.ts'
import { hasStrace, straceMissing, traceProcess } from '../support/strace.ts'
import { postEvents, startOfJob } from '../support/wire-events.ts'

/*
 * A disk that fails to answer, by strace: what was not made durable gets no 2xx, the sidecar says
 * what is wrong, and what it acknowledged before, meanwhile and after all arrives.
 *
 * After a failed fsync Linux takes the pages for clean, so a later fsync of the same file succeeds
 * although they never reached the disk. SQLite rolls the commit back, and the next one writes the
 * same places of the log again before it syncs them: the last test looks at that.
 */

type Sent = ReturnType<typeof startOfJob>

/** Sends events one by one until `enough`. @returns those that were acknowledged, and the others */
async function send(url: string, n: number) {
  const [kept, refused]: [Sent[], Sent[]] = [[], []]
  for (let i = 0; i < n; i++) {
    const one = startOfJob()
    const answer = await postEvents(url, one)
    if (answer.status === 200) kept.push(one)
    else {
      assert.equal(answer.status, 503, await answer.clone().text())
      assert.ok(Number(answer.headers.get('retry-after')) > 0)
      refused.push(one)
    }
  }
  return { kept, refused }
}

/** Everything that was acknowledged is stored, once; also what was refused and sent again. */
async function assertArrived(site: Site, sent: Sent[]): Promise<void> {
  await assertAllTaken(site)
  assert.equal(await countStored(site.store), sent.length)
  const again = await postEvents(site.sidecar.url, sent, ':batch')
  const { duplicates } = (await again.json()) as { duplicates: number }
  assert.equal(duplicates, sent.length)
}

const wal = (site: Site) => join(site.spoolDir, 'spool.db-wal')
const inject = (calls: string, error: string) => [
  '-e',
  `trace=${calls}`,
  '-e',
  `inject=${calls}:error=${error}`,
]

const faults: [string, (site: Site) => string[], RegExp][] = [
  ['fails to sync', () => inject('fsync,fdatasync', 'EIO'), /cannot be written \(SQLITE_IOERR/],
  [
    'fails to write',
    (site) => [...inject('pwrite64', 'EIO'), '-P', wal(site)],
    /cannot be written \(SQLITE_IOERR/,
  ],
  ['has no space left', (site) => [...inject('pwrite64', 'ENOSPC'), '-P', wal(site)], /full/i],
]

describe('a disk that', () => {
  for (const [name, args, trouble] of faults) {
    test(`${name} gets no 2xx, is reported, and loses nothing once it works again`, async (t) => {
      if (!hasStrace) return t.skip(straceMissing)
      const site = await startSite(t)
      const { url } = site.sidecar
      const before = await send(url, 20)
      assert.equal(before.refused.length, 0)
      const broken = await traceProcess(t, site.sidecar.pid, args(site))
      const meanwhile = await send(url, 20)
      assert.equal(meanwhile.kept.length, 0)
      const sick = await fetch(`${url}/v1/healthz`)
      assert.equal(sick.status, 503)
      assert.match(((await sick.json()) as { trouble: string }).trouble, trouble)
      assert.match(site.sidecar.logs(), /SQLITE_(IOERR|FULL)|disk of the spool is full/)
      await broken.stop()
      const again = await until('the refused events to be taken', async () => {
        const answer = await postEvents(url, meanwhile.refused, ':batch')
        return answer.status === 200 && ((await answer.json()) as { duplicates: number })
      })
      assert.equal(again.duplicates, 0)
      const after = await send(url, 20)
      assert.equal(after.refused.length, 0)
      assert.equal((await healthOf(url)).trouble, undefined)
      await assertArrived(site, [...before.kept, ...meanwhile.refused, ...after.kept])
    })
  }

  longTest(
    'fails now and then, while the spool drains and is killed, loses nothing acknowledged',
    async (t) => {
      if (!hasStrace) return t.skip(straceMissing)
      const site = await startSite(t)
      const kept: Sent[] = []
      for (let round = 0; round < 3; round++) {
        const every = `inject=fsync,fdatasync:error=EIO:when=2+3`
        const broken = await traceProcess(t, site.sidecar.pid, [
          '-e',
          'trace=fsync,fdatasync',
          '-e',
          every,
        ])
        kept.push(...(await send(site.sidecar.url, 60)).kept)
        await broken.stop()
        await site.sidecar.kill9()
        const env = { SPOOL_DIR: site.spoolDir, LOCAL_API_BASE: site.api.url }
        site.sidecar = await startRole(t, 'sidecar', env)
      }
      assert.ok(kept.length > 0)
      await assertAllTaken(site)
      const answer = await postEvents(site.sidecar.url, kept, ':batch')
      assert.equal(((await answer.json()) as { duplicates: number }).duplicates, kept.length)
      for (const { entity } of kept.slice(0, 40)) {
        const job = await fetch(`${site.api.url}/v1/jobs/${entity.id}`)
        assert.equal(((await job.json()) as { event_count: number }).event_count, 1)
      }
    },
  )

  test('fails while deliveries are noted leaves no complaint, though nothing new comes', async (t) => {
    if (!hasStrace) return t.skip(straceMissing)
    const { url: database } = await freshDatabase(t)
    const port = String(await freePort())
    const env = { SPOOL_DIR: freshFolder(), LOCAL_API_BASE: `http://127.0.0.1:${port}` }
    const sidecar = await startRole(t, 'sidecar', env)
    const { kept } = await send(sidecar.url, 5)
    const broken = await traceProcess(t, sidecar.pid, inject('fsync,fdatasync', 'EIO'))
    const api = await startRole(t, 'local-api', { DATABASE_URL: database, PORT: port })
    await until('the trouble to be told', async () => (await healthOf(sidecar.url)).trouble)
    await broken.stop()
    await assertAllTaken({ sidecar })
    // It looks for itself whether the disk works again, some time later.
    await until('health', async () => (await fetch(`${sidecar.url}/v1/healthz`)).status === 200)
    for (const { entity } of kept) {
      const job = await fetch(`${api.url}/v1/jobs/${entity.id}`)
      assert.equal(((await job.json()) as { event_count: number }).event_count, 1)
    }
  })

  test('cannot be read at the start ends the sidecar with an error, and changes nothing', async (t) => {
    if (!hasStrace) return t.skip(straceMissing)
    const env = { SPOOL_DIR: freshFolder(), LOCAL_API_BASE: 'http://127.0.0.1:9' }
    const first = await startRole(t, 'sidecar', env)
    const { kept } = await send(first.url, 5)
    await first.kill9()
    const unreadable = [...inject('pread64', 'EIO'), '-P', join(env.SPOOL_DIR, 'spool.db')]
    const broken = launchUnder(env, unreadable)
    assert.equal((await broken.ended).code, 2, broken.logs())
    assert.match(broken.logs(), /SPOOL_DIR: .*spool\.db cannot be opened \(SQLITE_IOERR/)
    assert.doesNotMatch(broken.logs(), /\n\s+at /)
    const second = await startRole(t, 'sidecar', env)
    const { spool_count, damaged } = await healthOf(second.url)
    assert.deepEqual([spool_count, damaged], [kept.length, undefined])
  })

  test('knows no second names for a file keeps a damaged log all the same', async (t) => {
    if (!hasStrace) return t.skip(straceMissing)
    const env = { SPOOL_DIR: freshFolder(), LOCAL_API_BASE: 'http://127.0.0.1:9' }
    const first = await startRole(t, 'sidecar', env)
    await send(first.url, 20)
    await first.kill9()
    const log = join(env.SPOOL_DIR, 'spool.db-wal')
    const spoiled = readFileSync(log)
    spoiled[Math.floor(spoiled.length / 2)]! ^= 0xff
    writeFileSync(log, spoiled)
    const second = launchUnder(env, inject('link,linkat', 'EPERM'))
    t.after(() => second.kill9())
    const ended = second.ended.then(() => assert.fail(second.logs()))
    const { damaged } = await healthOf(await Promise.race([second.ready, ended]))
    assert.deepEqual(readFileSync(join(damaged!.movedTo, 'spool.db-wal.damaged')), spoiled)
  })

  test('lost a commit is written again before it counts as synced', async (t) => {
    if (!hasStrace) return t.skip(straceMissing)
    const dir = freshFolder()
    const env = { SPOOL_DIR: dir, LOCAL_API_BASE: 'http://127.0.0.1:9' }
    const sidecar = await startRole(t, 'sidecar', env)
    await send(sidecar.url, 3)
    const file = join(dir, 'spool.db-wal')
    const once = 'inject=fsync,fdatasync:error=EIO:when=1'
    const traced = await traceProcess(t, sidecar.pid, [
      ...['-e', 'trace=pwrite64,fsync,fdatasync', '-e', once, '-P', file],
    ])
    assert.equal((await send(sidecar.url, 1)).refused.length, 1)
    assert.equal((await send(sidecar.url, 1)).kept.length, 1)
    await traced.stop()
    const { lost, rewritten } = writesAround(traced.calls())
    assert.ok(lost.length > 0 && rewritten.length > 0)
    assert.equal(Math.min(...rewritten), Math.min(...lost))
    assert.deepEqual(
      lost.filter((place) => !rewritten.includes(place)),
      [],
    )
  })
})

/** A sidecar that lives under strace from its first moment; what is started is the sidecar itself. */
const launchUnder = (env: Record<string, string>, args: readonly string[]) =>
  launch(['sidecar'], { PORT: '0', ...env }, [
    'strace',
    '-D',
    '-f',
    '-qq',
    '-o',
    '/dev/null',
    ...args,
  ])

/** The places of a file that were written before the first sync, and between it and the second. */
function writesAround(calls: string[]) {
  const places: number[][] = [[], [], []]
  let syncs = 0
  for (const call of calls) {
    const place = /pwrite64\(.*, (\d+)\) = \d+$/.exec(call)?.[1]
    if (place !== undefined) places[syncs]?.push(Number(place))
    if (/f(data)?sync\(/.test(call)) syncs++
  }
  return { lost: places[0]!, rewritten: places[1]! }
}
