import assert from 'node:assert/strict'
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { ConfigError } from '../../src/core/errors.ts'
import { RecentCounts } from '../../src/platform/recent-counts.ts'
import { Ballast } from '../../src/spool/ballast.ts'
import { describeSpool } from '../../src/spool/report.ts'
import { Spool } from '../../src/spool/spool.ts'
import { admitted } from '../support/admitted.ts'
import { diskOf } from '../support/full-disk.ts'
import { freshFolder, until } from '../support/processes.ts'
import { noSmallDisks, smallDisk } from '../support/small-disks.ts'

/* A disk that is full for one file of the spool, and then is not. Its database: disk-matrix.test.ts. */

const options = { sinks: ['a'], maxBytes: 2 ** 28, ballastBytes: 4096 }
const pageBytes = 8192

function open(t: TestContext, dir: string, found: string[] = []): Spool {
  const spool = new Spool({ ...options, dir, onDamage: (reason) => found.push(reason) })
  t.after(() => spool.close())
  return spool
}

const items = (n: number, bytes = 10) =>
  Array.from({ length: n }, () => admitted({ json: JSON.stringify({ x: 'y'.repeat(bytes) }) }))
const health = (spool: Spool) => describeSpool(spool, [], new RecentCounts())
const bodies = (spool: Spool) => spool.peek('a', 10_000, 2 ** 26).map(({ body }) => body)

/** A spool of a hundred events, closed. */
async function filled(t: TestContext) {
  const dir = freshFolder()
  const spool = open(t, dir)
  await spool.append(items(100, 2000))
  const sent = bodies(spool)
  spool.close()
  return { dir, sent, id: spool.source.id }
}

/** The folder that kill -9 leaves. */
async function killed(t: TestContext) {
  const spool = open(t, freshFolder())
  await spool.append(items(100))
  const dir = freshFolder()
  cpSync(spool.dir, dir, { recursive: true })
  return { dir, sent: bodies(spool) }
}

function spoilMiddle(path: string): void {
  const content = readFileSync(path)
  const at = Math.floor(content.length / 2 / pageBytes) * pageBytes
  writeFileSync(path, content.fill(0xa5, at, at + pageBytes))
}

/** What a start says that needs space and has none. */
const refusal = (error: Error) =>
  error instanceof ConfigError &&
  /^SPOOL_DIR: .*(ENOSPC).*check the disk's space/.test(error.message)

describe('a full disk', () => {
  test('under source-id refuses a new spool in words, and keeps none from opening that has one', async (t) => {
    const dir = freshFolder()
    const disk = diskOf(t)
    disk.fill(join(dir, 'source-id'))
    assert.throws(() => open(t, dir), refusal)
    assert.ok(!existsSync(join(dir, 'source-id')))
    disk.free()
    const { id } = open(t, dir).source
    assert.equal(readFileSync(join(dir, 'source-id'), 'utf8'), `${id}\n`)
    const { dir: old, id: known, sent } = await filled(t)
    disk.fill(join(old, 'source-id'))
    const spool = open(t, old)
    assert.deepEqual([spool.source.id, bodies(spool)], [known, sent])
  })

  test('under source-id.damaged leaves the damaged id where it is', async (t) => {
    const { dir, id, sent } = await filled(t)
    writeFileSync(join(dir, 'source-id'), 'half\0')
    const disk = diskOf(t)
    disk.fill(join(dir, 'source-id.damaged'))
    assert.throws(() => open(t, dir), refusal)
    assert.equal(readFileSync(join(dir, 'source-id'), 'utf8'), 'half\0')
    disk.free()
    const spool = open(t, dir)
    assert.deepEqual([spool.source.id, bodies(spool)], [id, sent])
    assert.equal(readFileSync(join(dir, 'source-id.damaged'), 'utf8'), 'half\0')
  })

  test('under last-seq costs no event, is said in health, and is over with the next one that fits', async (t) => {
    const dir = freshFolder()
    const disk = diskOf(t)
    disk.fill(join(dir, 'last-seq'))
    const spool = open(t, dir)
    assert.deepEqual(await spool.append(items(2)), ['stored', 'stored'])
    assert.match(health(spool).record ?? '', /last-seq cannot be written \(ENOSPC\)/)
    assert.equal(health(spool).ready, true)
    assert.ok(!existsSync(join(dir, 'last-seq')))
    disk.free()
    assert.deepEqual(await spool.append(items(1)), ['stored'])
    assert.equal(health(spool).record, undefined)
    // It counts what came while it could not be written.
    const later = freshFolder()
    cpSync(dir, later, { recursive: true })
    rmSync(join(later, 'spool.db-wal'))
    assert.deepEqual(open(t, later).guard.behind, { recorded: 3, found: 0, lost: 3 })
  })

  test('under last-seq that was there when it began keeps nothing from working either', async (t) => {
    const { dir, sent } = await killed(t)
    const disk = diskOf(t)
    disk.fill(join(dir, 'last-seq'))
    const spool = open(t, dir)
    assert.deepEqual(bodies(spool), sent)
    assert.deepEqual(await spool.append(items(1)), ['stored'])
    assert.match(health(spool).record ?? '', /ENOSPC/)
    disk.free()
    spool.ack('a', 1)
    spool.flush()
    assert.equal(health(spool).record, undefined)
  })

  test('under paused leaves the sink as it was, and a sink that is paused can be resumed', async (t) => {
    const dir = freshFolder()
    const disk = diskOf(t)
    const spool = open(t, dir)
    disk.fill(join(dir, 'paused'))
    assert.throws(() => spool.accounts.pause('a', 'test'), { code: 'overloaded' })
    assert.deepEqual(
      [spool.accounts.isPaused('a'), existsSync(join(dir, 'paused'))],
      [false, false],
    )
    disk.free()
    assert.equal(spool.accounts.pause('a', 'test'), true)
    disk.fill(join(dir, 'paused'))
    assert.equal(spool.accounts.resume('a'), true)
    spool.close()
    assert.equal(open(t, dir).accounts.isPaused('a'), false)
  })

  test('under spool.db.unsound ends the sidecar all the same, and the next start finds the damage itself', async (t) => {
    const { dir, sent } = await filled(t)
    const found: string[] = []
    const spool = open(t, dir, found)
    diskOf(t).fill(join(dir, 'spool.db.unsound'))
    spool.guard.damaged('found while in use')
    assert.deepEqual([found, spool.guard.isUnsound], [['found while in use'], true])
    spool.close()
    assert.ok(!existsSync(join(dir, 'spool.db.unsound')))
    spoilMiddle(join(dir, 'spool.db'))
    const { salvaged = 0, unreadable = 0 } = open(t, dir).report.damaged ?? {}
    assert.ok(unreadable > 0 && salvaged + unreadable === sent.length)
  })

  test('under damaged-<time> and its note leaves a damaged spool as it is', async (t) => {
    const { dir, sent } = await filled(t)
    spoilMiddle(join(dir, 'spool.db'))
    const before = readFileSync(join(dir, 'spool.db'))
    const disk = diskOf(t)
    for (const bytes of [0, 20]) {
      disk.fill(join(dir, 'damaged-'), bytes)
      assert.throws(() => open(t, dir), refusal)
      assert.deepEqual(readFileSync(join(dir, 'spool.db')), before)
    }
    disk.free()
    const { salvaged = 0, unreadable = 0 } = open(t, dir).report.damaged ?? {}
    assert.ok(salvaged > 50 && salvaged + unreadable === sent.length)
    assert.equal(readdirSync(dir).filter((name) => name.startsWith('damaged-')).length, 1)
  })

  test('under spool.db-wal.damaged leaves the damaged log as it is', async (t) => {
    const { dir } = await killed(t)
    const log = join(dir, 'spool.db-wal')
    const spoiled = readFileSync(log)
    spoiled[Math.floor(spoiled.length / 2)]! ^= 0xff
    writeFileSync(log, spoiled)
    const disk = diskOf(t)
    disk.fill(join(dir, 'spool.db-wal.damaged'))
    assert.throws(() => open(t, dir), refusal)
    assert.deepEqual(readFileSync(log), spoiled)
    disk.free()
    const { movedTo = '', reason } = open(t, dir).report.damaged ?? {}
    assert.match(reason ?? '', /log is damaged/)
    assert.deepEqual(readFileSync(join(movedTo, 'spool.db-wal.damaged')), spoiled)
  })

  test('is named whatever SQLite says, also when it is full for ballast.probe alone', (t) => {
    const dir = freshFolder()
    const disk = diskOf(t)
    disk.fill(join(dir, 'ballast.probe'))
    const ballast = new Ballast(dir, 4096)
    const error = Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_WRITE' })
    assert.equal(ballast.explain(error), 'the disk of the spool is full (blocks or inodes)')
    disk.free()
    assert.match(ballast.explain(error), /cannot be written \(SQLITE_IOERR_WRITE\)/)
    assert.deepEqual(readdirSync(dir), [])
  })
})

describe('a full disk without a ballast', { skip: noSmallDisks }, () => {
  test('under spool.db.partial leaves a damaged spool as it is, and says so in words', async (t) => {
    const disk = smallDisk(t, 64)
    const spool = open(t, disk.dir)
    await spool.append(items(2000, 2000))
    const count = spool.count
    spool.close()
    spoilMiddle(join(disk.dir, 'spool.db'))
    const before = readFileSync(join(disk.dir, 'spool.db'))
    rmSync(join(disk.dir, 'ballast'))
    const giveBack = disk.fill()
    assert.throws(() => open(t, disk.dir), /^ConfigError: SPOOL_DIR: .*check the disk's space/)
    assert.deepEqual(readFileSync(join(disk.dir, 'spool.db')), before)
    giveBack()
    const again = open(t, disk.dir)
    const damaged = await until('the end', () => again.report.damaged)
    assert.ok(damaged.salvaged > count / 2 && damaged.salvaged + damaged.unreadable === count)
    assert.deepEqual(await again.append(items(1)), ['stored'])
  })
})
