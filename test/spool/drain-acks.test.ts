import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { Metrics } from '../../src/platform/metrics.ts'
import { Drain, type DrainResult } from '../../src/spool/drain.ts'
import { Spool } from '../../src/spool/spool.ts'
import { admitted } from '../support/admitted.ts'
import { freshFolder, until } from '../support/processes.ts'

/** A drain towards a sink of our own; `deliver` is given the numbers of each batch. */
function draining(t: TestContext, deliver: (seqs: number[]) => DrainResult) {
  const options = { dir: freshFolder(), sinks: ['sink'], maxBytes: 2 ** 26, ballastBytes: 4096 }
  const spool = new Spool(options)
  const stop = new AbortController()
  const drain = new Drain({
    spool,
    sink: 'sink',
    deliver: async (batch) => deliver(batch.map(({ seq }) => seq)),
    batchSize: 100,
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
      return { kind: 'taken', upTo: seqs[0]!, refused: [] }
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
})
