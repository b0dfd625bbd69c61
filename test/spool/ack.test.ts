import assert from 'node:assert/strict'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import Database from 'better-sqlite3'
import { Spool } from '../../src/spool/spool.ts'
import { refuse, toAppend } from '../support/draining.ts'
import { freshFolder } from '../support/processes.ts'

function openSpool(t: TestContext, dir = freshFolder()): Spool {
  const options = { sinks: ['good', 'bad'], maxBytes: 2 ** 26, ballastBytes: 4096 }
  const spool = new Spool({ dir, ...options })
  t.after(() => spool.close())
  return spool
}

const append = (spool: Spool, n: number) =>
  spool.append(Array.from({ length: n }, () => toAppend({})))
const seqs = (spool: Spool, sink: string) => spool.peek(sink, 100, 2 ** 20).map(({ seq }) => seq)

describe('an acknowledgment', () => {
  test('beyond the last event deletes no event that the sink has not seen', async (t) => {
    const spool = openSpool(t)
    await append(spool, 3)
    assert.throws(() => spool.ack('bad', 1_000_000), /bad acknowledges 1000000, not one of 0 to 3/)
    assert.equal(spool.lag('bad'), 3)
    await append(spool, 2)
    spool.ack('good', 5)
    assert.deepEqual(seqs(spool, 'bad'), [1, 2, 3, 4, 5])
  })

  test('does not go back, and is a whole number', async (t) => {
    const spool = openSpool(t)
    await append(spool, 3)
    spool.ack('bad', 2)
    for (const seq of [1, -1, 2.5, Number.NaN]) {
      assert.throws(() => spool.ack('bad', seq), /not one of 2 to 3/)
    }
    spool.ack('bad', 2)
    assert.equal(spool.lag('bad'), 1)
  })

  test('records no refusal of an event that it does not cover', async (t) => {
    const spool = openSpool(t)
    await append(spool, 3)
    spool.ack('bad', 1)
    for (const seq of [1, 3]) {
      const refused = [{ ...refuse(spool.peek('bad', 1, 2 ** 20)[0]), seq }]
      assert.throws(() => spool.ack('bad', 2, refused), /bad refuses events outside of 2 to 2/)
    }
    assert.deepEqual([spool.acked('bad'), spool.rejects.list(10)], [1, []])
  })
})

describe('a sink whose recorded position is after the last event', () => {
  function setPosition(dir: string, acked: number): void {
    const db = new Database(join(dir, 'spool.db'))
    db.prepare(`update sink set acked = ? where name = 'bad'`).run(acked)
    db.close()
  }

  test('is offered everything that is there, and what comes after', async (t) => {
    const spool = openSpool(t)
    await append(spool, 3)
    spool.ack('good', 1)
    spool.ack('bad', 1)
    spool.close()
    setPosition(spool.dir, 1_000_000)
    const again = openSpool(t, spool.dir)
    assert.deepEqual(again.report.resetSinks, ['bad'])
    await append(again, 2)
    again.ack('good', 5)
    assert.deepEqual(seqs(again, 'bad'), [2, 3, 4, 5])
    again.close()
    assert.deepEqual(openSpool(t, spool.dir).report.resetSinks, [])
  })

  test('is believed when the spool is empty: it cannot have missed anything', async (t) => {
    const spool = openSpool(t)
    await append(spool, 3)
    spool.ack('good', 3)
    spool.ack('bad', 3)
    spool.close()
    const again = openSpool(t, spool.dir)
    assert.deepEqual([again.report.resetSinks, again.count], [[], 0])
    await append(again, 1)
    assert.deepEqual([seqs(again, 'good'), seqs(again, 'bad')], [[4], [4]])
  })
})
