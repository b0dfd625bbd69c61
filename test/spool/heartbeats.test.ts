import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { Report } from '../../src/core/delivery.ts'
import { type Heartbeat, heartbeatSchema } from '../../src/core/heartbeat.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { Heartbeats } from '../../src/spool/heartbeats.ts'
import { Spool } from '../../src/spool/spool.ts'
import {
  fillSpool,
  sinkName,
  startDraining,
  startDrainingTo,
  stopAfter,
  toAppend,
} from '../support/draining.ts'
import { freshFolder, until } from '../support/processes.ts'

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
    ...{ spool, drains: () => [draining.drain], log, metrics: new Metrics(), maxBytes: 2 ** 24 },
    ...{ everyMs: 5, ...more },
  })
  const receiver = { name: sinkName, report }
  const stop = new AbortController()
  const running = heartbeats.keepTelling(receiver, stop.signal)
  const end = async () => {
    stop.abort()
    await running
  }
  t.after(end)
  return { said, heartbeats, receiver, end, spool }
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
    const { said, heartbeats, receiver, end } = await telling(t, (one, signal) =>
      one.goodbye
        ? new Promise((done) =>
            signal.addEventListener('abort', () => done({ failed: 'it did not answer' })),
          )
        : Promise.resolve('kept'),
    )
    await end()
    await heartbeats.sayGoodbye(receiver)
    assert.deepEqual(
      said.filter(({ goodbye }) => goodbye).map(({ waiting }) => waiting),
      [2],
    )
  })

  test('say to a receiver what it is owed itself, and of other sinks in their own rows', async (t) => {
    const spool = new Spool({
      ...{ dir: freshFolder(), sinks: [sinkName, 'dead'], maxBytes: 2 ** 28, ballastBytes: 4096 },
    })
    await spool.append([{ n: 1 }, { n: 2 }, { n: 3 }].map(toAppend))
    const taking = startDraining(spool, async (batch) => ({
      ...{ kind: 'judged', verdicts: batch.map(() => 'taken' as const) },
    }))
    stopAfter(t, spool, taking)
    const dead = startDrainingTo(spool, 'dead', async () => ({ kind: 'failed', reason: 'planted' }))
    t.after(dead.stop)
    await until('the first to have all', () => spool.lag(sinkName) === 0 && dead.waits.length > 0)
    const drains = () => [taking.drain, dead.drain]
    const heartbeats = new Heartbeats({
      ...{ spool, drains, log, metrics: new Metrics(), maxBytes: 2 ** 24 },
    })
    const { waiting, oldest_at, sinks } = heartbeats.describe(sinkName)
    assert.deepEqual([waiting, oldest_at], [0, null])
    assert.deepEqual(
      sinks.map(({ name, lag_events }) => [name, lag_events]),
      [
        [sinkName, 0],
        ['dead', 3],
      ],
    )
    assert.equal(heartbeats.describe('dead').waiting, 3)
  })
})
