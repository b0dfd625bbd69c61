import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { closeSync, fstatSync, openSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { Spool } from '../../src/spool/spool.ts'
import { refuse, toAppend } from '../support/draining.ts'
import { until } from '../support/processes.ts'
import { longTest } from '../support/short-form.ts'
import {
  diskOfFewInodes,
  noQuotas,
  noSmallDisks,
  quota,
  type SmallDisk,
  smallDisk,
} from '../support/small-disks.ts'

const mib = 2 ** 20
const sink = 'local-api'

function openSpool(t: TestContext, dir: string): Spool {
  const spool = new Spool({ dir, sinks: [sink], maxBytes: 2 ** 30 })
  t.after(() => spool.close())
  return spool
}

let made = 0
const big = () => toAppend({ n: ++made, x: randomBytes(10_000).toString('hex') })
const batch = () => Array.from({ length: 20 }, big)

/** Appends until it refuses. @returns how many events it took, and the words of the refusal */
async function fillUp(spool: Spool) {
  for (let taken = 0; ; taken += 20) {
    const [verdict] = await spool.append(batch())
    if (verdict !== 'stored') return { taken, why: (verdict as { later: string }).later }
  }
}

/** Acknowledges what is there, in parts, as a drain does. @returns the numbers of the events */
function drain(spool: Spool): number[] {
  const seen: number[] = []
  for (;;) {
    const part = spool.peek(sink, 50, 4 * mib)
    if (part.length === 0) return seen
    seen.push(...part.map(({ seq }) => seq))
    spool.ack(sink, part.at(-1)!.seq)
  }
}

/** Garbage on some pages in the middle. */
function spoil(dir: string): void {
  const path = join(dir, 'spool.db')
  const file = openSync(path, 'r+')
  writeSync(
    file,
    Buffer.alloc(3 * 8192, 0xa5),
    0,
    3 * 8192,
    Math.floor(fstatSync(file).size / 2 / 8192) * 8192,
  )
  closeSync(file)
}

/** Delivers what is carried over, as it comes. @returns it, and why new events were refused */
async function drainCarried(spool: Spool) {
  const seen: string[] = []
  const refused: string[] = []
  let [largest, stored] = [0, 0]
  await until(
    'all to be carried over and delivered',
    async () => {
      const batch = spool.peek(sink, 50, 4 * mib)
      seen.push(...batch.map(({ body }) => body))
      if (batch.length > 0) spool.ack(sink, batch.at(-1)!.seq)
      if (!spool.carrying) return spool.count === 0
      largest = Math.max(largest, statSync(join(spool.dir, 'spool.db')).size)
      const [verdict] = await spool.append([big()])
      if (verdict === 'stored') stored++
      if (typeof verdict === 'object' && 'later' in verdict) refused.push(verdict.later)
      return false
    },
    60_000,
  ).catch((error: Error) => {
    const { trouble, carrying, count, report } = spool
    error.message += `: ${JSON.stringify({ trouble, carrying, count, seen: seen.length, report })}`
    throw error
  })
  return { seen, stored, refused, largest }
}

/** Others have taken all there was. */
const assertFull = (dir: string) =>
  assert.throws(() => writeFileSync(join(dir, 'more'), randomBytes(2 ** 18), { flush: true }))

const upTo = (n: number, from = 1) => Array.from({ length: n }, (_, i) => from + i)
const accepts = (spool: Spool) =>
  until('room again', async () => (await spool.append([big()]))[0] === 'stored', 60_000)

type Kind = [
  name: string,
  make: (t: TestContext, mib: number) => SmallDisk,
  missing: string | undefined,
  words: RegExp,
]
const kinds: Kind[] = [
  ['a full disk (ENOSPC)', smallDisk, noSmallDisks, /disk of the spool is full/],
  ['a quota that is used up (EDQUOT)', quota, noQuotas, /quota of the spool is used up/],
]

for (const [name, make, missing, words] of kinds) {
  // What is alike for both is in the short form once.
  const ofKind = make === quota ? longTest : test
  describe(`${name}`, { skip: missing }, () => {
    test('refuses in words, takes every acknowledgment, and accepts again', async (t) => {
      const spool = openSpool(t, make(t, 64).dir)
      const { taken, why } = await fillUp(spool)
      assert.ok(taken > 100)
      assert.match(why, words)
      assert.match(spool.trouble ?? '', words)
      assert.deepEqual(drain(spool), upTo(taken))
      await accepts(spool)
      assert.equal(spool.trouble, undefined)
    })

    ofKind(
      'that others fill keeps no sidecar from starting, delivering and accepting again',
      async (t) => {
        const disk = make(t, 64)
        const spool = openSpool(t, disk.dir)
        for (let i = 0; i < 20; i++) await spool.append(batch())
        disk.fill()
        const { taken } = await fillUp(spool)
        spool.close()
        const again = openSpool(t, disk.dir)
        assert.equal(again.count, 400 + taken)
        assert.deepEqual(drain(again), upTo(400 + taken))
        again.close()
        const third = openSpool(t, disk.dir)
        assert.equal(third.count, 0)
        // In the space of what was delivered, though others gave nothing back.
        await accepts(third)
      },
    )

    test('beside a damaged spool keeps no sidecar from starting and delivering what can be read of it', async (t) => {
      const disk = make(t, 96)
      const spool = openSpool(t, disk.dir)
      for (let i = 0; i < 50; i++) await spool.append(batch())
      const sent = spool.peek(sink, 1000, 64 * mib).map(({ body }) => body)
      spool.close()
      spoil(disk.dir)
      const giveBack = disk.fill()
      assertFull(disk.dir)
      const again = openSpool(t, disk.dir)
      const { seen, stored, refused, largest } = await drainCarried(again)
      const carried = seen.filter((body) => sent.includes(body))
      assert.ok(carried.length > 900 && carried.length === again.report.damaged?.salvaged)
      const left = sent.filter((body) => carried.includes(body))
      assert.deepEqual(seen.slice(0, left.length), left, 'each once, in order, before what came in')
      assert.ok(
        refused.every((why) => words.test(why) || /nearly full, .* carried over first/.test(why)),
        refused.join(),
      )
      // What is written over and over on a file system that copies on write takes more than it has pages.
      const most = 4 * mib + 50_000 * stored
      assert.ok(largest <= most, `the new database took ${largest} bytes for ${stored} new events`)
      giveBack()
      await accepts(again)
    })

    test('and a sink that is away keep no damaged spool from being delivered once it is back', async (t) => {
      const disk = make(t, 48)
      const spool = openSpool(t, disk.dir)
      for (let i = 0; i < 10; i++) await spool.append(batch())
      spool.close()
      writeFileSync(join(disk.dir, 'spool.db.unsound'), 'a test\n')
      const again = openSpool(t, disk.dir)
      // The sink is away: what can be taken of new events is taken.
      let stored = 0
      for (let i = 0; i < 200; i++) {
        const verdicts = await again.append(batch())
        stored += verdicts.filter((verdict) => verdict === 'stored').length
      }
      const { seen, stored: later } = await drainCarried(again)
      assert.equal(seen.length, 200 + stored + later)
      assert.deepEqual(again.report.damaged?.salvaged, 200)
    })

    ofKind('and rejects of a damaged spool keep no event from being delivered', async (t) => {
      const disk = make(t, 64)
      const spool = openSpool(t, disk.dir)
      for (let i = 0; i < 30; i++) await spool.append(batch())
      for (let left = 600; left > 0; left -= 50) {
        const part = spool.peek(sink, 50, 4 * mib)
        spool.ack(sink, part.at(-1)!.seq, part.map(refuse))
      }
      for (let i = 0; i < 5; i++) await spool.append(batch())
      spool.close()
      writeFileSync(join(disk.dir, 'spool.db.unsound'), 'a test\n')
      const giveBack = disk.fill()
      assertFull(disk.dir)
      const again = openSpool(t, disk.dir)
      const seen: number[] = []
      await until('the events to be delivered', () => {
        seen.push(...drain(again))
        return seen.length >= 100
      })
      giveBack()
      await until('the rejects to be there', () => !again.carrying, 120_000)
      assert.equal(again.rejects.count(sink).count, 600)
      await accepts(again)
    })

    ofKind('has no room for a new spool, and says so to the operator', async (t) => {
      const disk = make(t, 64)
      disk.fill()
      assert.throws(() => openSpool(t, disk.dir), {
        name: 'ConfigError',
        message: /^SPOOL_DIR: .*; (check the disk's space|choose a folder .* with space)/,
      })
    })

    ofKind(
      'that others fill beside an empty spool does not keep it from starting and accepting',
      async (t) => {
        const disk = make(t, 64)
        const spool = openSpool(t, disk.dir)
        await spool.append(batch())
        drain(spool)
        spool.close()
        disk.fill()
        const again = openSpool(t, disk.dir)
        await accepts(again)
        assert.equal(drain(again).length, 1)
      },
    )
  })
}

describe('a disk that was nearly full when the sidecar started', { skip: noSmallDisks }, () => {
  test('and has room again: a damaged spool is carried over and new events are taken, though nothing is delivered', async (t) => {
    const disk = smallDisk(t, 160)
    const spool = openSpool(t, disk.dir)
    for (let i = 0; i < 10; i++) await spool.append(batch())
    spool.close()
    writeFileSync(join(disk.dir, 'spool.db.unsound'), 'a test\n')
    // What was given up for the opening is taken again, but not as a whole.
    const giveBack = disk.fill()
    rmSync(join(disk.dir, 'ballast'))
    const again = openSpool(t, disk.dir)
    assert.ok(again.carrying, 'it waits for deliveries')
    const [before] = await again.append([big()])
    assert.match(
      (before as { later: string }).later,
      /events of a damaged spool are carried over first|full/,
    )
    giveBack()
    await until(
      'all to be carried over',
      () => {
        again.recover()
        return !again.carrying
      },
      60_000,
    )
    assert.equal(again.count, 200)
    await accepts(again)
  })
})

describe('a disk that is nearly full', { skip: noSmallDisks }, () => {
  test('takes no commit that it could not move to the database, but smaller ones', async (t) => {
    const spool = openSpool(t, smallDisk(t, 64).dir)
    await spool.append(batch())
    const large = () => Array.from({ length: 700 }, big)
    // Both requests wait for the same commit.
    const [many, few] = await Promise.all([spool.append(large()), spool.append(batch())])
    assert.match((many[0] as { later: string }).later, /too little space for this many events/)
    assert.equal(few[0], 'stored')
    assert.equal(spool.trouble, undefined)
    assert.deepEqual(drain(spool), upTo(40))
  })
})

describe('no inodes left', { skip: noSmallDisks }, () => {
  test('keeps no sidecar from accepting, starting and delivering', async (t) => {
    const disk = diskOfFewInodes(t, 64)
    const spool = openSpool(t, disk.dir)
    await spool.append(batch())
    const giveBack = disk.fill()
    assert.deepEqual(await spool.append([big()]), ['stored'])
    spool.close()
    const again = openSpool(t, disk.dir)
    assert.deepEqual(drain(again), upTo(21))
    giveBack()
    await accepts(again)
  })

  test('and a full disk: the ballast keeps its inode, and is back once there is space', async (t) => {
    const disk = diskOfFewInodes(t, 64)
    const spool = openSpool(t, disk.dir)
    disk.fill()
    const { taken } = await fillUp(spool)
    assert.deepEqual(drain(spool), upTo(taken))
    await accepts(spool)
  })
})

describe('a disk that becomes read-only (EROFS)', { skip: noSmallDisks }, () => {
  test('is named, changes nothing, and does not keep the next start from delivering', async (t) => {
    const disk = smallDisk(t, 64)
    const spool = openSpool(t, disk.dir)
    await spool.append(batch())
    disk.breakIt()
    const [verdict] = await spool.append([big()])
    assert.match((verdict as { later: string }).later, /disk of the spool is read-only/)
    spool.ack(sink, 5)
    assert.equal(spool.lag(sink), 15, 'a delivery is not repeated while it cannot be recorded')
    spool.close()
    assert.throws(() => openSpool(t, disk.dir), /SPOOL_DIR: .*(EROFS|SQLITE_)/)
    disk.repair()
    const again = openSpool(t, disk.dir)
    assert.deepEqual([again.count, again.report.damaged], [20, undefined])
    assert.deepEqual(drain(again), upTo(20))
    await accepts(again)
  })
})
