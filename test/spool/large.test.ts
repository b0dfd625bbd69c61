import assert from 'node:assert/strict'
import { cpSync, existsSync, readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { before, describe, type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import type { Outgoing } from '../../src/core/delivery.ts'
import { must } from '../../src/core/must.ts'
import { RecentCounts } from '../../src/platform/recent-counts.ts'
import { describeSpool } from '../../src/spool/report.ts'
import { Spool } from '../../src/spool/spool.ts'
import { admitted } from '../support/admitted.ts'
import { refuse } from '../support/draining.ts'
import { freshFolder, until } from '../support/processes.ts'

/* A backlog that takes long to read is checked behind the opening, and nothing is answered on it then. */

const mib = 2 ** 20
const pageBytes = 8192
const options = { sinks: ['a'], maxBytes: 256 * mib, ballastBytes: 4096 }

let made = 0
const item = (bytes: number) =>
  admitted({ json: JSON.stringify({ n: ++made, x: 'y'.repeat(bytes) }) })
const numberOf = ({ body }: { body: string }) => (JSON.parse(body) as { n: number }).n

/** By this process so far, from files of any kind and from memory or disk. */
const bytesRead = () => Number(/^rchar: (\d+)/m.exec(readFileSync('/proc/self/io', 'utf8'))?.[1])

/** The last event that is handed out. */
function lastOf(spool: Spool): Outgoing {
  let last: Outgoing | undefined
  for (;;) {
    const next = spool.peek('a', 1000, 64 * mib, last?.seq)
    if (next.length === 0) return must(last, 'there are events')
    last = next.at(-1)
  }
}

/** 40 MiB of events, closed. */
let full = ''
let count = 0
before(async () => {
  const spool = new Spool({ ...options, dir: freshFolder() })
  for (let i = 0; i < 10; i++) await spool.append(Array.from({ length: 500 }, () => item(8000)))
  count = spool.count
  spool.close()
  full = spool.dir
})

function open(t: TestContext, dir: string) {
  const found: string[] = []
  const spool = new Spool({ ...options, dir, onDamage: (reason) => found.push(reason) })
  t.after(() => spool.close())
  return { spool, found }
}

function copy(): string {
  const dir = freshFolder()
  cpSync(full, dir, { recursive: true })
  return dir
}

/** Garbage on the page of an event in the middle, where neither end of the spool is. */
function spoil(dir: string): void {
  const path = join(dir, 'spool.db')
  const content = readFileSync(path)
  const page = Math.floor(content.length / 2 / pageBytes)
  writeFileSync(path, content.fill(0xa5, page * pageBytes, (page + 3) * pageBytes))
}

describe('a large spool', () => {
  test('takes events while it is being checked, and says so', async (t) => {
    const { spool, found } = open(t, copy())
    assert.equal(describeSpool(spool, [], new RecentCounts()).checking, true)
    assert.equal(spool.report.recovered, count)
    assert.deepEqual(await spool.append([item(10)]), ['stored'])
    await until('the check to end', () => !spool.guard.checking)
    assert.deepEqual(found, [])
    assert.equal(describeSpool(spool, [], new RecentCounts()).status, 'ok')
    assert.equal(spool.peek('a', 10, mib)[0]?.seq, 1)
  })

  test('is opened on a bounded number of its pages, sound or damaged', (t) => {
    const [sound, damaged] = [copy(), copy()]
    spoil(damaged)
    writeFileSync(join(damaged, 'spool.db.unsound'), 'found while in use\n')
    for (const dir of [sound, damaged]) {
      const before = bytesRead()
      const { spool } = open(t, dir)
      const mibRead = (bytesRead() - before) / mib
      assert.ok(mibRead < 2, `${mibRead} MiB of 40`)
      assert.ok(spool.guard.checking || spool.carrying)
      spool.close()
    }
  })

  test('that is damaged is found behind the opening, and the next start loses nothing that was answered', async (t) => {
    const dir = copy()
    spoil(dir)
    const { spool, found } = open(t, dir)
    const event = item(10)
    assert.deepEqual(await spool.append([event]), ['stored'])
    await until('the damage to be found', () => found.length > 0)
    assert.match(
      describeSpool(spool, [], new RecentCounts()).trouble ?? '',
      /is damaged .*the next start repairs it/,
    )
    assert.equal(describeSpool(spool, [], new RecentCounts()).ready, false)
    const [refused] = await spool.append([item(10)])
    assert.match((refused as { later: string }).later, /is damaged/)
    assert.deepEqual(spool.peek('a', 10, mib), [])
    spool.close()
    const again = open(t, dir).spool
    const damaged = await until('the events to be there', () => again.report.damaged)
    assert.ok(damaged.unreadable > 0 && damaged.unreadable < 10, JSON.stringify(damaged))
    assert.equal(damaged.salvaged + damaged.unreadable, count + 1)
    assert.equal(numberOf(lastOf(again)), (JSON.parse(event.json) as { n: number }).n)
    assert.ok(existsSync(join(damaged.movedTo, 'spool.db.unsound')))
    assert.ok(!existsSync(join(dir, 'spool.db.unsound')))
  })

  test('that a sink reads before the check is there stops at the damage, and skips nothing', async (t) => {
    const dir = copy()
    spoil(dir)
    const { spool, found } = open(t, dir)
    let seq = 0
    while (found.length === 0) {
      const batch = spool.peek('a', 200, 64 * mib, seq)
      for (const event of batch) assert.equal(event.seq, ++seq)
    }
    assert.ok(seq > 0 && seq < count)
  })

  test('that an acknowledgment finds damaged ends there: no refusal counts as recorded', async (t) => {
    const dir = copy()
    const { spool, found } = open(t, dir)
    const [first] = spool.peek('a', 1, mib)
    const path = join(dir, 'spool.db')
    const content = readFileSync(path)
    const page = Math.floor(content.indexOf(`{"n":${numberOf(first!)},`) / pageBytes)
    writeFileSync(path, content.fill(0xa5, page * pageBytes, (page + 1) * pageBytes))
    // Everything else pushes that page out of memory.
    for (let seq = 10; spool.peek('a', 200, 64 * mib, seq).length > 0; seq += 200) {}
    spool.ack('a', 1, [refuse(first)])
    assert.throws(() => spool.flush(), { code: 'SQLITE_CORRUPT' })
    assert.equal(found.length, 1)
    assert.match(spool.trouble ?? '', /is damaged .*the next start repairs it/)
    assert.deepEqual(spool.peek('a', 1, mib), [], 'nothing is handed out any more')
    spool.close()
    const again = open(t, dir).spool
    const { salvaged, unreadable } = await until('the end', () => again.report.damaged)
    assert.equal(salvaged + unreadable, count)
    assert.equal(again.rejects.count('a').count, 0)
    assert.ok(unreadable > 0 && unreadable < 4)
  })

  test('is not opened at all on what new events need: a header and a last event that are damaged', (t) => {
    for (const damage of [
      (path: string) => writeFileSync(path, readFileSync(path).fill(0xa5, 0, 200)),
      (path: string) => truncateSync(path, 33 * mib),
    ]) {
      const dir = copy()
      damage(join(dir, 'spool.db'))
      const { spool } = open(t, dir)
      assert.ok(spool.carrying ?? spool.report.damaged)
      spool.close()
    }
  })
})

describe('a spool that lacks an event in the middle', () => {
  test('is not handed out past it while it runs', async (t) => {
    // As a page that is in use twice takes events away.
    const { spool, found } = open(t, copy())
    const { seq } = spool.peek('a', 1, mib, 10)[0]!
    spool.close()
    const db = new Database(join(spool.dir, 'spool.db'))
    db.exec(`delete from event where seq = ${seq}`)
    db.close()
    const again = open(t, spool.dir)
    assert.equal(again.spool.report.damaged, undefined)
    assert.deepEqual(again.spool.peek('a', 20, 64 * mib), [])
    assert.match(again.found[0] ?? '', new RegExp(`event ${seq} is missing`))
    assert.deepEqual(found, [])
  })

  test('does not pass over it', async (t) => {
    const { spool } = open(t, freshFolder())
    await spool.append(Array.from({ length: 5 }, () => item(10)))
    spool.close()
    const db = new Database(join(spool.dir, 'spool.db'))
    db.exec('delete from event where seq = 3')
    db.close()
    const again = open(t, spool.dir).spool
    assert.match(again.report.damaged?.reason ?? '', /lacks 1 of its events/)
    assert.deepEqual([again.report.damaged?.salvaged, again.report.damaged?.unreadable], [4, 1])
    assert.equal(again.guard.behind, undefined, 'it is told once')
  })
})
