import assert from 'node:assert/strict'
import {
  closeSync,
  cpSync,
  existsSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { Spool } from '../../src/spool/spool.ts'
import { admitted } from '../support/admitted.ts'
import { refuse } from '../support/draining.ts'
import { freshFolder } from '../support/processes.ts'
import { runs } from '../support/wild.ts'

/*
 * Spools as a dying disk may leave them: the files of a spool in use, copied as kill -9 would leave
 * them, then cut or overwritten anywhere.
 */

const mib = 2 ** 20
/** Of a new spool. */
const pageBytes = 8192
const options = { sinks: ['local-api'], maxBytes: 64 * mib, ballastBytes: 4096 }

let made = 0
const item = (bytes: number) =>
  admitted({ json: JSON.stringify({ n: ++made, x: 'y'.repeat(bytes) }) })

/** A spool in use: part of it in the database, part in its log, some delivered. */
async function busySpool() {
  const dir = freshFolder()
  const first = new Spool({ ...options, dir })
  for (let i = 0; i < 30; i++) await first.append([item(20_000), item(300), item(10)])
  first.ack('local-api', 15)
  // Closing empties the log into the database.
  first.close()
  const spool = new Spool({ ...options, dir })
  for (let i = 0; i < 30; i++) await spool.append([item(300), item(10)])
  const waiting = spool.peek('local-api', 1000, 64 * mib)
  return { dir, spool, waiting, epoch: spool.source.epoch, close: () => spool.close() }
}

type Damage = { file: string; place: number | string; bytes: Uint8Array | 'cut' }
/** A letter changed where SQLite sees nothing wrong. */
const misspelled: fc.Arbitrary<Damage> = fc.record({
  file: fc.constant('spool.db'),
  place: fc.constantFrom('received_ms   int', 'key_a', 'strict', 'eventevent', 'local-api', '20'),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 2 }),
})
const anywhere: fc.Arbitrary<Damage> = fc.record({
  file: fc.constantFrom('spool.db', 'spool.db', 'spool.db-wal'),
  // Where the head and the first pages are, now and then: that is where it hurts.
  place: fc.oneof(
    fc.double({ min: 0, max: 0.999, noNaN: true }),
    fc.constantFrom(0, 0.0001, 0.001),
  ),
  bytes: fc.oneof(
    fc.constant('cut' as const),
    fc.uint8Array({ minLength: 1, maxLength: 4 }),
    fc.uint8Array({ minLength: 64, maxLength: 9000, size: 'max' }),
    fc.constantFrom(4096, 20_000).map((n) => new Uint8Array(n)),
  ),
})

function spoil(dir: string, { file, place, bytes }: Damage): void {
  const path = join(dir, file)
  const content = readFileSync(path)
  const at = typeof place === 'string' ? lastOf(content, place) : Math.floor(content.length * place)
  if (bytes !== 'cut') content.set(bytes.subarray(0, content.length - at), at)
  writeFileSync(path, bytes === 'cut' ? content.subarray(0, at) : content)
}

/** Where a word stands last: rows lie behind the texts of their tables. */
const lastOf = (content: Buffer, word: string) => Math.max(0, content.lastIndexOf(word) + 1)

const sent = ({ body }: { body: string }) =>
  JSON.parse(body) as { n: number; source: { epoch: string; seq: number } }

describe('a spool that was damaged while it was down', () => {
  test('opens, says how much it lost, and passes on what can be read', async () => {
    const busy = await busySpool()
    const damage = fc.oneof({ weight: 3, arbitrary: anywhere }, misspelled)
    const known = new Map(busy.waiting.map((event) => [sent(event).n, event.body]))
    await fc.assert(
      fc.asyncProperty(fc.array(damage, { minLength: 1, maxLength: 3 }), async (all) => {
        const dir = freshFolder()
        cpSync(busy.dir, dir, { recursive: true })
        for (const one of all) spoil(dir, one)
        const spool = new Spool({ ...options, dir })
        try {
          const { damaged } = spool.report
          const found = spool.peek('local-api', 1000, 64 * mib)
          if (damaged) {
            assert.equal(spool.count, damaged.salvaged)
            assert.equal(found.length, damaged.salvaged)
            assert.ok(damaged.unreadable >= 0 && existsSync(damaged.movedTo))
            assert.notEqual(spool.source.epoch, busy.epoch)
          }
          // With the stamps that they had, so that what was delivered before is known again.
          for (const event of found) {
            const { n, source } = tryParse(event.body) ?? { n: -1 }
            if (
              source?.epoch === busy.epoch &&
              known.has(n) &&
              sameSize(event.body, known.get(n)!)
            ) {
              assert.equal(source.seq, sent({ body: known.get(n)! }).source.seq)
            }
          }
          assert.deepEqual(await spool.append([item(10)]), ['stored'])
          spool.ack('local-api', found.length > 0 ? found.at(-1)!.seq : 0)
          assert.equal(spool.peek('local-api', 10, mib).length, 1)
        } finally {
          spool.close()
          rmSync(dir, { recursive: true, force: true })
        }
      }),
      { numRuns: runs(60) },
    )
    busy.close()
  })

  test('is found damaged where its end is cut off, though SQLite takes it for sound', async () => {
    const busy = await busySpool()
    const { length } = readFileSync(join(busy.dir, 'spool.db'))
    const pages = Math.floor(length / pageBytes)
    for (let left = pages - 8; left < pages; left++) {
      const dir = freshFolder()
      cpSync(busy.dir, dir, { recursive: true })
      spoil(dir, { file: 'spool.db', place: (left * pageBytes + 100) / length, bytes: 'cut' })
      const spool = new Spool({ ...options, dir })
      const found = spool.peek('local-api', 1000, 64 * mib)
      assert.equal(found.length, spool.count)
      spool.close()
    }
    busy.close()
  })

  test('reports that its log is damaged, though SQLite opens it without an error', async () => {
    const busy = await busySpool()
    const log = readFileSync(join(busy.dir, 'spool.db-wal'))
    for (const place of [0, 20, 40, Math.floor(log.length / 2)]) {
      const dir = freshFolder()
      cpSync(busy.dir, dir, { recursive: true })
      const spoiled = Buffer.from(log)
      spoiled[place] = spoiled[place]! ^ 0xff
      writeFileSync(join(dir, 'spool.db-wal'), spoiled)
      const spool = new Spool({ ...options, dir })
      assert.match(spool.report.damaged?.reason ?? '', /log is damaged; up to \d+ commits/)
      assert.notEqual(spool.source.epoch, busy.epoch)
      assert.ok(spool.count < busy.waiting.length)
      spool.close()
    }
    busy.close()
  })

  test('still reports its damaged log when the repair was killed after SQLite removed the log', async () => {
    const busy = await busySpool()
    const dir = freshFolder()
    cpSync(busy.dir, dir, { recursive: true })
    busy.close()
    const [path, log] = [join(dir, 'spool.db'), join(dir, 'spool.db-wal')]
    const spoiled = readFileSync(log)
    spoiled[Math.floor(spoiled.length / 2)]! ^= 0xff
    writeFileSync(log, spoiled)
    // The first step of a repair, and its state after the database was opened and closed.
    linkSync(log, `${log}.damaged`)
    const database = new Database(path)
    assert.ok(database.prepare('select count(*) from event').pluck().get())
    database.close()
    assert.ok(!existsSync(log))
    const spool = new Spool({ ...options, dir })
    assert.match(spool.report.damaged?.reason ?? '', /log is damaged; up to \d+ commits/)
    assert.notEqual(spool.source.epoch, busy.epoch)
    const kept = join(spool.report.damaged!.movedTo, 'spool.db-wal.damaged')
    assert.deepEqual(readFileSync(kept), spoiled)
    spool.close()
    // Again until what was carried over is delivered, and something new has come.
    const next = new Spool({ ...options, dir })
    assert.deepEqual(next.report.damaged, spool.report.damaged)
    next.ack('local-api', next.peek('local-api', 1000, 64 * mib).at(-1)!.seq)
    await next.append([item(10)])
    next.close()
    const last = new Spool({ ...options, dir })
    assert.equal(last.report.damaged, undefined)
    last.close()
  })

  test('is not looked at while another sidecar uses it', async () => {
    const busy = await busySpool()
    const log = join(busy.dir, 'spool.db-wal')
    const spoiled = readFileSync(log)
    const place = Math.floor(spoiled.length / 2)
    const file = openSync(log, 'r+')
    writeSync(file, Buffer.from([spoiled[place]! ^ 0xff]), 0, 1, place)
    closeSync(file)
    const before = readdirSync(busy.dir)
    assert.throws(() => new Spool({ ...options, dir: busy.dir }), /in use by another sidecar/)
    assert.deepEqual(readdirSync(busy.dir), before)
    busy.close()
  })

  test('keeps the rejects that can be read', async () => {
    const busy = await busySpool()
    const refused = refuse(busy.waiting[0])
    busy.spool.ack('local-api', refused.seq, [refused])
    const reject = busy.spool.rejects.get(busy.spool.rejects.list(10)[0]!.id)
    busy.close()
    const path = join(busy.dir, 'spool.db')
    const content = readFileSync(path)
    const page = Math.floor(content.indexOf(`{"n":${sent(busy.waiting.at(-20)!).n},`) / pageBytes)
    content.fill(0xa5, page * pageBytes, (page + 1) * pageBytes)
    writeFileSync(path, content)
    const spool = new Spool({ ...options, dir: busy.dir })
    assert.ok(spool.report.damaged)
    const again = spool.rejects.get(spool.rejects.list(10)[0]!.id)
    assert.deepEqual({ ...again, id: 0 }, { ...reject, id: 0 })
    spool.close()
  })

  test('reports nothing when only the commit under way is torn', async () => {
    const busy = await busySpool()
    const log = readFileSync(join(busy.dir, 'spool.db-wal'))
    const frame = pageBytes + 24
    const frames = Math.floor((log.length - 32) / frame)
    for (const length of [log.length - 100, 32 + (frames - 1) * frame, 32 + frame, 32, 5, 0]) {
      const dir = freshFolder()
      cpSync(busy.dir, dir, { recursive: true })
      writeFileSync(join(dir, 'spool.db-wal'), log.subarray(0, length))
      const spool = new Spool({ ...options, dir })
      assert.equal(spool.report.damaged, undefined)
      const [event] = spool.peek('local-api', 1, mib)
      assert.equal(sent(event!).source.epoch, sent(busy.waiting[0]!).source.epoch)
      spool.close()
    }
    busy.close()
  })

  test('loses no more than what lay on the page that cannot be read', async () => {
    const busy = await busySpool()
    const dir = freshFolder()
    busy.close()
    cpSync(busy.dir, dir, { recursive: true })
    // Closed, so everything is in the database; a page of some forty events becomes garbage.
    const content = readFileSync(join(dir, 'spool.db'))
    const { n } = sent(busy.waiting.at(-20)!)
    const page = Math.floor(content.indexOf(`{"n":${n},`) / pageBytes)
    content.fill(0xa5, page * pageBytes, (page + 1) * pageBytes)
    writeFileSync(join(dir, 'spool.db'), content)
    const spool = new Spool({ ...options, dir })
    const { salvaged, unreadable } = spool.report.damaged!
    assert.equal(salvaged + unreadable, busy.waiting.length)
    assert.ok(unreadable > 0 && unreadable < 60, `${unreadable}`)
    const bodies = new Set(busy.waiting.map(({ body }) => body))
    for (const { body } of spool.peek('local-api', 1000, 64 * mib)) assert.ok(bodies.has(body))
    spool.close()
  })

  test('is repaired by the next start when the repair was killed before the new one was whole', async () => {
    const busy = await busySpool()
    busy.close()
    writeFileSync(join(busy.dir, 'spool.db.partial'), 'half of it')
    const spool = new Spool({ ...options, dir: busy.dir })
    assert.equal(spool.count, busy.waiting.length)
    assert.ok(!existsSync(join(busy.dir, 'spool.db.partial')))
    spool.close()
  })

  test('is repaired by the next start when the repair was killed as the files changed places', async () => {
    const busy = await busySpool()
    busy.close()
    // The damaged one is out of the way, its log is not, and the new one is not in its place.
    cpSync(join(busy.dir, 'spool.db'), join(busy.dir, 'spool.db.partial'))
    rmSync(join(busy.dir, 'spool.db'))
    writeFileSync(join(busy.dir, 'spool.db-wal'), 'the log of the damaged one')
    const spool = new Spool({ ...options, dir: busy.dir })
    assert.equal(spool.count, busy.waiting.length)
    const aside = readdirSync(busy.dir).find((file) => file.startsWith('damaged-'))!
    assert.deepEqual(readdirSync(join(busy.dir, aside)), ['spool.db-wal'])
    spool.close()
  })
})

function tryParse(text: string): ReturnType<typeof sent> | undefined {
  try {
    return JSON.parse(text) as ReturnType<typeof sent>
  } catch {
    return undefined
  }
}

const sameSize = (a: string, b: string) => a.length === b.length
