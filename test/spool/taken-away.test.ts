import assert from 'node:assert/strict'
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { ConfigError } from '../../src/core/errors.ts'
import { RecentCounts } from '../../src/platform/recent-counts.ts'
import { Ballast } from '../../src/spool/ballast.ts'
import { findBehind } from '../../src/spool/last-seq.ts'
import { describeSpool } from '../../src/spool/report.ts'
import { Spool } from '../../src/spool/spool.ts'
import { verifySpool } from '../../src/spool/verify.ts'
import { admitted } from '../support/admitted.ts'
import { refuse } from '../support/draining.ts'
import { freshFolder } from '../support/processes.ts'

/* The files of a spool removed, moved or replaced by somebody, while it runs and while it is down. */

const options = { sinks: ['a'], maxBytes: 2 ** 26, ballastBytes: 4096 }
const open = (t: TestContext, dir = freshFolder()) => {
  const spool = new Spool({ ...options, dir })
  t.after(() => spool.close())
  return spool
}
const items = (n: number) => Array.from({ length: n }, () => admitted())
const health = (spool: Spool) => describeSpool(spool, [], new RecentCounts())
const waiting = (spool: Spool) => spool.peek('a', 10_000, 2 ** 24)

describe('a file of the spool that goes while it runs', () => {
  const ways: [string, (path: string) => void][] = [
    ['removed', (path) => rmSync(path)],
    ['moved', (path) => renameSync(path, `${path}.old`)],
    [
      'replaced',
      (path) => {
        cpSync(path, `${path}.copy`)
        renameSync(`${path}.copy`, path)
      },
    ],
  ]
  for (const file of ['spool.db', 'spool.db-wal', 'lock.db']) {
    for (const [name, take] of ways) {
      test(`is seen before the next answer, and makes health red: ${file} ${name}`, async (t) => {
        const spool = open(t)
        await spool.append(items(2))
        assert.equal(health(spool).ready, true)
        take(join(spool.dir, file))
        const [verdict] = await spool.append(items(1))
        assert.match((verdict as { later: string }).later, /removed, moved or replaced/)
        assert.equal(health(spool).ready, false)
        assert.ok(health(spool).trouble?.includes(join(spool.dir, file)))
        // What it has it still delivers.
        assert.equal(waiting(spool).length, 2)
        spool.ack('a', 2)
        assert.equal(spool.count, 0)
      })
    }
  }

  test('is seen when it is the whole folder', async (t) => {
    const spool = open(t)
    rmSync(spool.dir, { recursive: true })
    const [verdict] = await spool.append(items(1))
    assert.match((verdict as { later: string }).later, /removed, moved or replaced/)
    assert.equal(health(spool).ready, false)
  })

  test('is no trouble any more when it is back', async (t) => {
    const spool = open(t)
    renameSync(spool.dir, `${spool.dir}-away`)
    assert.equal(health(spool).ready, false)
    renameSync(`${spool.dir}-away`, spool.dir)
    assert.equal(health(spool).ready, true)
    assert.deepEqual(await spool.append(items(1)), ['stored'])
  })

  test('does not take a reject along', async (t) => {
    const spool = open(t)
    await spool.append(items(1))
    spool.ack('a', 1, [refuse(waiting(spool)[0])])
    renameSync(join(spool.dir, 'spool.db'), join(spool.dir, 'away'))
    assert.throws(() => spool.retryReject(1), /cannot be written/)
    assert.equal(spool.rejects.list(10).length, 1)
  })
})

/** The folder that a killed sidecar with 200 events leaves, 50 of them delivered. */
async function killed(t: TestContext): Promise<{ dir: string; early: string }> {
  const [dir, early] = [freshFolder(), freshFolder()]
  const spool = open(t)
  await spool.append(items(100))
  cpSync(spool.dir, early, { recursive: true })
  await spool.append(items(100))
  spool.ack('a', 50)
  spool.flush()
  cpSync(spool.dir, dir, { recursive: true })
  return { dir, early }
}

describe('a spool that lags behind its record of the last number', () => {
  test('is no news after a kill that took nothing', async (t) => {
    const { dir } = await killed(t)
    const spool = open(t, dir)
    assert.equal(spool.guard.behind, undefined)
    assert.equal(spool.guard.recordTrouble, undefined)
    assert.equal(health(spool).status, 'ok')
    assert.equal(spool.count, 150)
  })

  test('says how many events a missing log took', async (t) => {
    const { dir } = await killed(t)
    rmSync(join(dir, 'spool.db-wal'))
    const spool = open(t, dir)
    assert.deepEqual(spool.guard.behind, { recorded: 200, found: 0, lost: 150 })
    assert.equal(health(spool).status, 'degraded')
    assert.deepEqual(health(spool).behind, spool.guard.behind)
    assert.deepEqual(await spool.append(items(1)), ['stored'])
    spool.close()
    assert.equal(open(t, dir).guard.behind, undefined)
  })

  test('says it again until there is something new', async (t) => {
    const { dir } = await killed(t)
    rmSync(join(dir, 'spool.db-wal'))
    open(t, dir).close()
    assert.equal(open(t, dir).guard.behind?.lost, 150)
  })

  test('says how many events a missing database took', async (t) => {
    const { dir } = await killed(t)
    for (const file of ['spool.db', 'spool.db-wal']) rmSync(join(dir, file))
    assert.deepEqual(open(t, dir).guard.behind, { recorded: 200, found: 0, lost: 150 })
  })

  test('says how many events are missing in an older copy of the database', async (t) => {
    const { dir, early } = await killed(t)
    for (const file of ['spool.db', 'spool.db-wal']) cpSync(join(early, file), join(dir, file))
    assert.deepEqual(open(t, dir).guard.behind, { recorded: 200, found: 100, lost: 100 })
  })

  test('says how many events of a damaged log could not be carried over', async (t) => {
    const { dir } = await killed(t)
    const log = join(dir, 'spool.db-wal')
    writeFileSync(log, readFileSync(log).fill(0xa5, 0, 32))
    const spool = open(t, dir)
    const { salvaged = 0, unreadable } = spool.report.damaged ?? {}
    assert.equal(unreadable, 150 - salvaged)
    assert.ok(salvaged > 0 || unreadable === 150)
    assert.equal(spool.guard.behind, undefined)
  })

  test('still has a record when a power cut tore half of it', async (t) => {
    for (const place of [0, 4096]) {
      const { dir } = await killed(t)
      const path = join(dir, 'last-seq')
      writeFileSync(path, readFileSync(path).fill(0, place, place + 200))
      rmSync(join(dir, 'spool.db-wal'))
      // The record before the last one is of the state before the acknowledgment.
      assert.ok([150, 200].includes(open(t, dir).guard.behind!.lost))
    }
  })

  test('says so when there is no record, or one that cannot be read', async (t) => {
    for (const [spoil, reason] of [
      [(path: string) => rmSync(path), /last-seq is missing/],
      [(path: string) => writeFileSync(path, 'no record'), /last-seq is damaged/],
      [(path: string) => truncateSync(path), /last-seq is damaged/],
    ] as const) {
      const { dir } = await killed(t)
      spoil(join(dir, 'last-seq'))
      const spool = open(t, dir)
      assert.match(health(spool).record ?? '', reason)
      assert.equal(health(spool).status, 'degraded')
      assert.equal(spool.count, 150)
      spool.close()
      assert.equal(health(open(t, dir)).record, undefined)
    }
  })

  test('counts what was delivered as not lost', () => {
    const record = { spool: 's', last: 200, delivered: 180 }
    const compare = (spool: string, last: number) => findBehind(record, { spool, last })
    assert.equal(compare('s', 200), undefined)
    assert.equal(compare('s', 201), undefined)
    assert.deepEqual(compare('s', 190), { recorded: 200, found: 190, lost: 10 })
    assert.deepEqual(compare('s', 100), { recorded: 200, found: 100, lost: 20 })
    assert.deepEqual(compare('new', 5), { recorded: 200, found: 5, lost: 15 })
    assert.equal(compare('new', 20), undefined)
  })
})

describe('something odd in the place of a file of the spool', () => {
  const names = ['spool.db', 'spool.db-wal', 'lock.db', 'source-id', 'last-seq', 'ballast']
  for (const name of names) {
    test(`is named at start, and left alone: a folder called ${name}`, (t) => {
      const dir = freshFolder()
      mkdirSync(join(dir, name))
      assert.throws(
        () => open(t, dir),
        (error: Error) =>
          error instanceof ConfigError && /is a folder; move it/.test(error.message),
      )
      assert.ok(existsSync(join(dir, name)))
    })
  }

  for (const name of [...names, 'last-seq.partial', 'ballast.probe', 'source-id.damaged']) {
    test(`is named at start, and nothing is written through it: a link called ${name}`, (t) => {
      const [dir, elsewhere] = [freshFolder(), freshFolder()]
      for (const what of ['there', 'missing']) {
        const target = join(elsewhere, what)
        if (what === 'there') writeFileSync(target, 'of somebody else')
        symlinkSync(target, join(dir, name))
        const refused = (error: Error) =>
          error instanceof ConfigError && error.message.includes(`${name} is a link; move it away`)
        assert.throws(() => open(t, dir), refused)
        if (name === 'spool.db' && what === 'there') assert.throws(() => verifySpool(dir), refused)
        rmSync(join(dir, name))
      }
      assert.equal(readFileSync(join(elsewhere, 'there'), 'utf8'), 'of somebody else')
      assert.deepEqual(readdirSync(elsewhere), ['there'])
    })
  }

  test('writes through no link that takes the place of the ballast while it runs', (t) => {
    const [dir, elsewhere] = [freshFolder(), freshFolder()]
    const ballast = new Ballast(dir, 2 ** 20)
    t.after(() => ballast.release())
    assert.ok(ballast.take())
    const target = join(elsewhere, 'file')
    writeFileSync(target, 'of somebody else')
    rmSync(join(dir, 'ballast'))
    symlinkSync(target, join(dir, 'ballast'))
    symlinkSync(target, join(dir, 'ballast.probe'))
    ballast.explain(new Error('disk I/O error'))
    ballast.release()
    assert.ok(ballast.take())
    assert.equal(readFileSync(target, 'utf8'), 'of somebody else')
  })

  test('does not lock the spool for ever: random bytes in lock.db', async (t) => {
    const dir = freshFolder()
    for (const bytes of [Buffer.alloc(5000, 0xa5), Buffer.from('SQLite format 3\0rubbish')]) {
      writeFileSync(join(dir, 'lock.db'), bytes)
      const spool = open(t, dir)
      assert.deepEqual(await spool.append(items(1)), ['stored'])
      spool.close()
    }
  })

  test('does not open the lock of a sidecar that runs: random bytes in its lock.db', (t) => {
    const spool = open(t)
    writeFileSync(join(spool.dir, 'lock.db'), Buffer.alloc(5000, 0xa5))
    assert.throws(() => open(t, spool.dir), /in use by another sidecar/)
  })
})
