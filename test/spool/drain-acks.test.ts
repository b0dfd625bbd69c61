import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { Delivery, Verdict } from '../../src/core/delivery.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { Drain } from '../../src/spool/drain.ts'
import { Spool } from '../../src/spool/spool.ts'
import { admitted } from '../support/admitted.ts'
import { fillSpool, startDraining, stopAfter } from '../support/draining.ts'
import { freshFolder, until } from '../support/processes.ts'

/** A drain towards a sink of our own; `deliver` is given the numbers of each batch. */
function draining(t: TestContext, deliver: (seqs: number[]) => Delivery | Promise<Delivery>) {
  const options = { dir: freshFolder(), sinks: ['sink'], maxBytes: 2 ** 26, ballastBytes: 4096 }
  const spool = new Spool(options)
  const stop = new AbortController()
  const drain = new Drain({
    spool,
    sink: 'sink',
    deliver: async (batch) => deliver(batch.map(({ seq }) => seq)),
    limits: { events: 100, bytes: 2 ** 22 },
    idleMs: 50,
    log: pino({ level: 'silent' }),
    metrics: new Metrics(),
  })
  const running = drain.run(stop.signal)
  t.after(async () => {
    stop.abort()
    await running
    spool.close()
  })
  return spool
}

describe('Drain', () => {
  test('acknowledges what was taken and nothing else, and offers the rest again', async (t) => {
    const asked: { seqs: number[]; waiting: number }[] = []
    const spool = draining(t, (seqs) => {
      asked.push({ seqs, waiting: spool.lag('sink') })
      if (asked.length === 1) return { kind: 'failed', reason: 'planted' }
      if (asked.length === 2) throw new Error('planted')
      return { kind: 'judged', verdicts: seqs.map((_, i) => (i === 0 ? 'taken' : 'later')) }
    })
    await spool.append([admitted(), admitted()])
    await until('the spool to be empty', () => spool.count === 0)
    assert.deepEqual(asked, [
      { seqs: [1, 2], waiting: 2 },
      { seqs: [1, 2], waiting: 2 },
      { seqs: [1, 2], waiting: 2 },
      { seqs: [2], waiting: 1 },
    ])
  })

  test('offers again alone what has to come later, and nothing that was taken or refused', async (t) => {
    const asked: { seqs: number[]; waiting: number }[] = []
    const spool = draining(t, (seqs) => {
      asked.push({ seqs, waiting: spool.lag('sink') })
      const verdicts = seqs.map((seq): Verdict => {
        if (seq === 4) return { field: 'event.at', detail: 'odd' }
        return asked.length === 1 && seq % 3 === 2 ? 'later' : 'taken'
      })
      return { kind: 'judged', verdicts }
    })
    await spool.append(Array.from({ length: 6 }, () => admitted()))
    await until('the spool to be empty', () => spool.count === 0)
    assert.deepEqual(asked, [
      { seqs: [1, 2, 3, 4, 5, 6], waiting: 6 },
      { seqs: [2, 5], waiting: 5 },
    ])
    assert.deepEqual(
      spool.rejects.list(10).map(({ seq }) => seq),
      [4],
    )
  })

  test('offers what has to come later in its order, also after further failures', async (t) => {
    const asked: number[][] = []
    const spool = draining(t, (seqs) => {
      asked.push(seqs)
      if (asked.length === 2) return { kind: 'too_large' }
      if (asked.length === 3) return { kind: 'failed', reason: 'planted' }
      const later = asked.length === 1
      return { kind: 'judged', verdicts: seqs.map((seq) => (later && seq < 4 ? 'later' : 'taken')) }
    })
    await spool.append(Array.from({ length: 4 }, () => admitted()))
    await until('the spool to be empty', () => spool.count === 0)
    assert.deepEqual(asked, [[1, 2, 3, 4], [1, 2, 3], [1], [1], [2, 3]])
  })

  test('offers what has to come later alone, also after a failure and when there is more by then', async (t) => {
    const asked: number[][] = []
    const spool = draining(t, async (seqs) => {
      asked.push(seqs)
      if (asked.length === 2) {
        await spool.append([admitted()])
        return { kind: 'failed', reason: 'planted' }
      }
      const later = asked.length === 1
      return { kind: 'judged', verdicts: seqs.map((seq) => (later && seq > 1 ? 'later' : 'taken')) }
    })
    await spool.append(Array.from({ length: 3 }, () => admitted()))
    await until('the spool to be empty', () => asked.length > 2 && spool.count === 0)
    assert.deepEqual(asked, [[1, 2, 3], [2, 3], [2, 3], [4]])
  })

  test('does not hold events in memory that it only read, while delivery fails', async (t) => {
    let asked = 0
    const spool = draining(t, (seqs) => {
      if (++asked < 3) return { kind: 'failed', reason: 'planted' }
      return { kind: 'judged', verdicts: seqs.map(() => 'taken') }
    })
    const peek = spool.peek.bind(spool)
    const readAfter: (number | undefined)[] = []
    spool.peek = (sink, limit, maxBytes, from) => {
      readAfter.push(from)
      return peek(sink, limit, maxBytes, from)
    }
    await spool.append(Array.from({ length: 3 }, () => admitted()))
    await until('the spool to be empty', () => spool.count === 0)
    assert.deepEqual(readAfter, [0, 0, 0])
  })

  test('offers no more bytes than the sink takes, whatever the alphabet, but for a single event', async (t) => {
    const spool = await fillSpool(
      Array.from({ length: 12 }, (_, i) => ({ x: '\u20ac'.repeat(i * 40) })),
    )
    const limits = { events: 10, bytes: 2000 }
    const batches: { events: number; bytes: number }[] = []
    const draining = startDraining(
      spool,
      async (batch) => {
        const bytes = Buffer.byteLength(batch.map(({ body }) => body).join(''))
        batches.push({ events: batch.length, bytes })
        return { kind: 'judged', verdicts: batch.map(() => 'taken') }
      },
      limits,
    )
    stopAfter(t, spool, draining)
    await until('the spool to be empty', () => spool.count === 0)
    assert.ok(batches.every(({ events, bytes }) => events === 1 || bytes <= limits.bytes))
    assert.ok(batches.some(({ events }) => events > 1))
  })
})
