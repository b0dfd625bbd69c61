import assert from 'node:assert/strict'
import { cpSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import fc from 'fast-check'
import { openingPattern } from '../../src/core/opening.ts'
import { newEpoch } from '../../src/spool/epochs.ts'
import { epochPattern } from '../../src/spool/schema.ts'
import { Spool } from '../../src/spool/spool.ts'
import { admitted } from '../support/admitted.ts'
import { freshFolder } from '../support/processes.ts'
import { makeFormat1 } from '../support/spool-format-1.ts'
import { runs } from '../support/wild.ts'

/*
 * A spool that goes back in time: a snapshot restored, an image cloned. What it has on disk cannot tell,
 * so numbers must not depend on it.
 */

const options = { sinks: ['a'], maxBytes: 2 ** 26, ballastBytes: 4096 }
const open = (t: Pick<TestContext, 'after'>, dir: string) => {
  const spool = new Spool({ ...options, dir })
  t.after(() => spool.close())
  return spool
}

let made = 0
const items = (n: number) =>
  Array.from({ length: n }, () => admitted({ json: JSON.stringify({ n: ++made }) }))

type Sent = { n: number; source: { id: string; epoch: string; seq: number } }
const sent = (spool: Spool) =>
  spool.peek('a', 10_000, 2 ** 24).map(({ body }) => JSON.parse(body) as Sent)
const nameOf = ({ source }: Sent) => `${source.id} ${source.epoch} ${source.seq}`

describe('a spool that goes back in time', () => {
  test('gives no number twice: a restored folder, and a copy that runs beside it', async (t) => {
    const [dir, snapshot, clone] = [freshFolder(), freshFolder(), freshFolder()]
    const spool = open(t, dir)
    await spool.append(items(5))
    cpSync(dir, snapshot, { recursive: true })
    cpSync(dir, clone, { recursive: true })
    await spool.append(items(50))
    const first = sent(spool)
    spool.close()
    rmSync(dir, { recursive: true })
    cpSync(snapshot, dir, { recursive: true })
    const [restored, cloned] = [open(t, dir), open(t, clone)]
    await restored.append(items(50))
    await cloned.append(items(50))
    const all = [...first, ...sent(restored), ...sent(cloned)]
    const events = new Map(all.map((event) => [nameOf(event), event.n]))
    for (const event of all) assert.equal(events.get(nameOf(event)), event.n)
    assert.equal(events.size, 155)
  })

  test('never gives one stamp to two events, whatever is restored, copied, delivered and restarted', async () => {
    const step = fc.oneof(
      fc.record({ does: fc.constant('append' as const), n: fc.integer({ min: 1, max: 4 }) }),
      fc.record({ does: fc.constant('ack' as const), n: fc.integer({ min: 1, max: 6 }) }),
      fc.record({ does: fc.constantFrom('save', 'restore', 'restart'), n: fc.constant(0) }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 14 }), async (steps) => {
        const [dir, saved] = [freshFolder(), freshFolder()]
        const events = new Map<string, number>()
        const stamps = new Map<number, string>()
        let spool = new Spool({ ...options, dir })
        const reopen = (change: () => void) => {
          spool.close()
          change()
          spool = new Spool({ ...options, dir })
        }
        for (const { does, n } of steps) {
          if (does === 'append') await spool.append(items(n))
          else if (does === 'ack') spool.ack('a', spool.acked('a') + Math.min(n, spool.lag('a')))
          else if (does === 'save') {
            rmSync(saved, { recursive: true })
            cpSync(dir, saved, { recursive: true })
          } else if (does === 'restart') reopen(() => {})
          else if (readdirSync(saved).length > 0) {
            reopen(() => {
              rmSync(dir, { recursive: true })
              cpSync(saved, dir, { recursive: true })
            })
          }
          for (const event of sent(spool)) {
            const name = nameOf(event)
            // One event a stamp, and one stamp an event.
            assert.equal(events.get(name) ?? event.n, event.n)
            assert.equal(stamps.get(event.n) ?? name, name)
            events.set(name, event.n)
            stamps.set(event.n, name)
          }
        }
        spool.close()
        for (const folder of [dir, saved]) rmSync(folder, { recursive: true, force: true })
      }),
      { numRuns: runs(25) },
    )
  })

  test('numbers from 1 in each opening, in which the events keep their stamps', async (t) => {
    const dir = freshFolder()
    const first = open(t, dir)
    await first.append(items(3))
    const before = sent(first)
    first.close()
    // Leaves no trace.
    open(t, dir).close()
    const second = open(t, dir)
    assert.deepEqual(sent(second), before)
    await second.append(items(2))
    await second.append(items(1))
    const after = sent(second)
    assert.deepEqual(after.slice(0, 3), before)
    assert.deepEqual(
      after.map(({ source }) => source.seq),
      [1, 2, 3, 1, 2, 3],
    )
    assert.equal(new Set(after.map(({ source }) => source.epoch)).size, 2)
    second.ack('a', 6)
    second.close()
    const third = open(t, dir)
    await third.append(items(1))
    third.close()
    const db = new Database(join(dir, 'spool.db'))
    t.after(() => db.close())
    const kept = db.prepare('select epoch from epoch').pluck().all()
    assert.deepEqual(kept, [third.source.epoch], 'what is delivered needs no epoch any more')
  })

  test('has epochs whose order is that of the openings, also when the clock is put back', () => {
    let last = ''
    const clocks = fc.array(
      fc.date({ min: new Date(0), max: new Date('9998-01-01'), noInvalidDate: true }),
    )
    fc.assert(
      fc.property(clocks, (dates) => {
        for (const date of dates) {
          const epoch = newEpoch(last, date.getTime())
          assert.match(epoch, epochPattern)
          // By which a receiver knows that its numbers are given once.
          assert.match(epoch, openingPattern)
          assert.ok(epoch > last)
          last = epoch
        }
        last = ''
      }),
    )
  })

  test('opens although a bit has flipped in the date of an epoch, and keeps its events', async (t) => {
    const dir = freshFolder()
    const first = open(t, dir)
    await first.append(items(3))
    first.close()
    const db = new Database(join(dir, 'spool.db'))
    db.exec(`update epoch set epoch = '20269127' || substr(epoch, 9)`)
    db.close()
    const spool = open(t, dir)
    assert.equal(spool.report.damaged?.salvaged, 3)
    assert.equal(sent(spool).length, 3)
  })

  test('keeps the id under which a number was given, when another is written into source-id', async (t) => {
    const dir = freshFolder()
    const first = open(t, dir)
    await first.append(items(1))
    const [before] = sent(first)
    first.close()
    writeFileSync(join(dir, 'source-id'), 'etch-07\n')
    const second = open(t, dir)
    await second.append(items(1))
    const [old, event] = sent(second)
    assert.deepEqual(old, before)
    assert.equal(event!.source.id, 'etch-07')
    assert.equal(second.report.sourceIdChange?.before, before!.source.id)
  })
})

describe('a spool of format 1', () => {
  const epoch = '20260301T120000000Z-0123abcd'
  const bodies = ['{"n":1}', '{"n":2}']

  test('opens and keeps its events, with their stamps, and takes new ones under another epoch', async (t) => {
    const dir = freshFolder()
    makeFormat1(dir, epoch, bodies)
    writeFileSync(join(dir, 'source-id'), 'bn-07\n')
    const spool = open(t, dir)
    assert.equal(spool.report.damaged, undefined)
    assert.equal(spool.guard.recordTrouble, undefined)
    await spool.append([admitted({ json: '{"n":3}' })])
    const found = sent(spool)
    assert.deepEqual(found.slice(0, 2), [
      { n: 1, source: { id: 'bn-07', epoch, seq: 1 } },
      { n: 2, source: { id: 'bn-07', epoch, seq: 2 } },
    ])
    assert.deepEqual(found[2]!.source, { ...spool.source, seq: 1 })
    assert.ok(spool.source.epoch > epoch)
    spool.close()
    assert.deepEqual(sent(open(t, dir)), found)
  })

  test('that is damaged is carried over with its stamps', async (t) => {
    const dir = freshFolder()
    makeFormat1(dir, epoch, bodies)
    writeFileSync(join(dir, 'source-id'), 'bn-07\n')
    const db = new Database(join(dir, 'spool.db'))
    db.exec('drop table key_b')
    db.close()
    const spool = open(t, dir)
    assert.equal(spool.report.damaged?.salvaged, 2)
    assert.deepEqual(sent(spool)[1], { n: 2, source: { id: 'bn-07', epoch, seq: 2 } })
  })
})

describe('a damaged spool whose epochs cannot be read', () => {
  test('has its events numbered anew: a stamp that is guessed may be that of another event', async (t) => {
    const stamps = new Set<string>()
    for (const dir of [freshFolder(), freshFolder()]) {
      writeFileSync(join(dir, 'source-id'), 'bn-07\n')
      const spool = open(t, dir)
      await spool.append(items(3))
      spool.close()
      const db = new Database(join(dir, 'spool.db'))
      db.exec('drop table epoch')
      db.close()
      const again = open(t, dir)
      assert.equal(again.report.damaged?.salvaged, 3)
      await again.append(items(1))
      for (const event of sent(again)) {
        assert.match(event.source.epoch, epochPattern)
        stamps.add(nameOf(event))
      }
    }
    assert.equal(stamps.size, 8)
  })
})
