import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import type { Sink } from '../../src/core/delivery.ts'
import type { Micros } from '../../src/core/time.ts'
import { uuidV5 } from '../../src/core/uuid.ts'
import type { Spool } from '../../src/spool/spool.ts'
import { fillSpool, sinkName, startDraining, stopAfter } from '../support/draining.ts'
import { until } from '../support/processes.ts'
import { normalEvent } from '../support/wire-events.ts'

/** A sink whose destination can be troubled. It knows events by `n`, counted from 1. */
export type SinkUnderTest = Sink & {
  /** Events that the destination took. */
  took: ReadonlySet<number>
  /** Events that the destination refused. */
  refused: ReadonlySet<number>
  /** Puts the destination in trouble; undefined heals it. */
  trouble(name: string | undefined): void
}

export type Suite = {
  name: string
  /** Names of everything that may be wrong at the destination, or with the sink. */
  troubles: readonly string[]
  /** One of the troubles: there is no answer. */
  hangs: string
  /** Why it cannot be tested here. */
  skip?: string | boolean
  /** Time of its events, for destinations that take no old ones. */
  at?: Micros
  open(t: TestContext): Promise<SinkUnderTest>
}

const count = 25

/**
 * The contract of core/delivery.ts, for any sink: with a drain and a real spool, whatever is wrong
 * for a while, nothing is lost, nothing is acknowledged that was neither taken nor refused, and
 * nothing becomes a reject that the destination did not refuse.
 */
export function testSink({ name, troubles, hangs, skip = false, at, open }: Suite): void {
  describe(`delivery to ${name}`, { skip }, () => {
    for (const trouble of ['nothing', ...troubles]) {
      test(`loses and invents nothing while this is wrong: ${trouble}`, async (t) => {
        const sink = await open(t)
        await deliverThrough(t, sink, trouble, at)
      })
    }

    test('stops while there is no answer, and acknowledges nothing', async (t) => {
      const sink = await open(t)
      sink.trouble(hangs)
      const spool = await fillSpool(events(at))
      let offered = false
      const draining = startDraining(spool, (batch, signal) => {
        offered = true
        return sink.deliver(batch, signal)
      })
      stopAfter(t, spool, draining)
      await until('an offer', () => offered)
      await draining.stop()
      assert.equal(spool.acked(sinkName), 0)
      assert.deepEqual(spool.rejects.list(count), [])
    })
  })
}

/** Some jobs that take turns, and end: what does not end a job is nothing to some sinks. */
const events = (at?: Micros) =>
  Array.from({ length: count }, (_, i) => {
    const event = normalEvent({ kind: 'finished' })
    const jobId = `0193581e-7c42-7d10-9a35-00000000000${i % 4}`
    return {
      ...{ n: i + 1, ...event, idempotency_key: uuidV5(`n ${i + 1}`) },
      entity: { ...event.entity, id: jobId },
      event: {
        ...event.event,
        ...(at === undefined ? {} : { at }),
        metrics: { duration_s: (i + 1) / 100 },
      },
    }
  })

async function deliverThrough(
  t: TestContext,
  sink: SinkUnderTest,
  trouble: string,
  at: Micros | undefined,
): Promise<void> {
  sink.trouble(trouble === 'nothing' ? undefined : trouble)
  const spool = await fillSpool(events(at))
  const offered = new Set<number>()
  let offers = 0
  let thrown: unknown
  const draining = startDraining(spool, (batch, signal) => {
    try {
      assertTruthful(spool, sink)
    } catch (error) {
      thrown ??= error
    }
    if (++offers === 8) sink.trouble(undefined)
    for (const { seq } of batch) offered.add(seq)
    return sink.deliver(batch, signal)
  })
  stopAfter(t, spool, draining)
  const isDone = () => spool.count === 0 || thrown !== undefined
  await until('the spool to be empty', isDone, 120_000)
  if (thrown) throw thrown
  assertTruthful(spool, sink)
  assert.equal(offered.size, count)
  assert.equal(spool.rejects.list(count + 1).length, sink.refused.size)
  assert.ok(
    draining.waits.every((ms) => ms > 0 && ms <= 3_600_000),
    `waits: ${draining.waits}`,
  )
}

/** Acknowledged events were taken or refused, and rejects were refused. */
function assertTruthful(spool: Spool, { took, refused }: SinkUnderTest): void {
  for (let n = 1; n <= spool.acked(sinkName); n++) {
    assert.ok(took.has(n) || refused.has(n), `event ${n} was acknowledged`)
  }
  const rejects = spool.rejects.list(count + 1).map(({ seq }) => seq)
  for (const seq of rejects) assert.ok(refused.has(seq), `event ${seq} became a reject`)
  assert.equal(new Set(rejects).size, rejects.length)
}
