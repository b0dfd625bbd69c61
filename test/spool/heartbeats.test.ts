import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { Report } from '../../src/core/delivery.ts'
import { type Heartbeat, heartbeatSchema } from '../../src/core/heartbeat.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { Heartbeats } from '../../src/spool/heartbeats.ts'
import { fillSpool, startDraining, stopAfter } from '../support/draining.ts'
import { until } from '../support/processes.ts'

const log = pino({ level: 'silent' })

/** A spool with events and a sink that takes none, and a receiver that answers as told. */
async function telling(t: TestContext, answer: Report, more: { againMs?: number } = {}) {
  const spool = await fillSpool([{ n: 1 }, { n: 2 }])
  const draining = startDraining(spool, async () => ({ kind: 'failed', reason: 'planted' }))
  stopAfter(t, spool, draining)
  const said: Heartbeat[] = []
  const report: Report = (heartbeat, signal) => {
    said.push(heartbeat)
    return answer(heartbeat, signal)
  }
  const heartbeats = new Heartbeats({
    ...{ spool, drains: [draining.drain], log, metrics: new Metrics(), maxBytes: 2 ** 24 },
    ...{ receivers: [{ name: 'local-api', report }], everyMs: 5, ...more },
  })
  const stop = new AbortController()
  const running = heartbeats.run(stop.signal)
  const end = async () => {
    stop.abort()
    await running
  }
  t.after(end)
  return { said, heartbeats, end, spool }
}

describe('heartbeats', () => {
  test('have the form that the local API takes, and say what waits', async (t) => {
    const { said } = await telling(t, async () => 'kept')
    await until('three of them', () => said.length >= 3)
    for (const one of said) assert.deepEqual(heartbeatSchema.parse(one), one)
    assert.deepEqual([said[0]?.waiting, said[0]?.source.seq, said[0]?.goodbye], [2, 2, undefined])
    assert.ok(said[0]!.oldest_at! <= said[0]!.at)
  })

  test('go on after a failure', async (t) => {
    const { said } = await telling(t, async () => ({ failed: 'planted' }))
    await until('three of them', () => said.length >= 3)
  })

  test('ask a receiver that knows none again only much later', async (t) => {
    let asked = 0
    const unknown: Report = async () => {
      asked++
      return 'unknown'
    }
    const slow = await telling(t, unknown, { againMs: 3_600_000 })
    await until('the first', () => asked === 1)
    await new Promise(setImmediate)
    await slow.end()
    assert.equal(asked, 1)
    const { said } = await telling(t, unknown, { againMs: 1 })
    await until('it to be asked again', () => said.length >= 2)
  })

  test('take a 404 of a receiver that kept one before for what is in between', async (t) => {
    let asked = 0
    await telling(t, async () => (asked++ === 0 ? 'kept' : 'unknown'), { againMs: 3_600_000 })
    await until('it to be asked again and again', () => asked >= 4)
  })

  test('say goodbye once, and do not wait long for an answer to it', async (t) => {
    const { said, heartbeats, end } = await telling(t, (one, signal) =>
      one.goodbye
        ? new Promise((done) =>
            signal.addEventListener('abort', () => done({ failed: 'it did not answer' })),
          )
        : Promise.resolve('kept'),
    )
    await end()
    await heartbeats.sayGoodbye()
    assert.deepEqual(
      said.filter(({ goodbye }) => goodbye).map(({ waiting }) => waiting),
      [2],
    )
  })
})
