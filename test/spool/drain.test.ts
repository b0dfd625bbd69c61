import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import type { Delivery, Outgoing, Sink, Verdict } from '../../src/core/delivery.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { Drain } from '../../src/spool/drain.ts'
import { Spool } from '../../src/spool/spool.ts'
import { admitted } from '../support/admitted.ts'
import { fillSpool, startDraining, stopAfter } from '../support/draining.ts'
import { freshFolder, until } from '../support/processes.ts'

const sink = 'local-api'
type Deliver = Sink['deliver']
type Sent = { job: string; n: number }

async function backlog(t: TestContext, events: { entity: object; job: string; n: number }[]) {
  const spool = new Spool({ dir: freshFolder(), sinks: [sink], maxBytes: 2 ** 28 })
  t.after(() => spool.close())
  await spool.append(events.map((event) => admitted({ json: JSON.stringify(event) })))
  return spool
}

/** `count` events of `jobs` jobs; every third is about a subjob. `n` counts the events of a job. */
function eventsOf(count: number, jobs: number) {
  // Lanes go by the last digit: not all jobs are in one.
  const ids = Array.from({ length: jobs }, (_, i) => `${crypto.randomUUID().slice(0, -1)}${i % 10}`)
  return Array.from({ length: count }, (_, i) => {
    const job = ids[i % jobs]!
    const n = Math.floor(i / jobs)
    // Nothing forbids a job to name a parent, now and then.
    const entity =
      n % 3 === 2
        ? { type: 'subjob', id: crypto.randomUUID(), parent_id: job }
        : { type: 'job', id: job, parent_id: n % 3 === 1 ? crypto.randomUUID() : null }
    return { entity, job, n }
  })
}

async function drainAll(t: TestContext, spool: Spool, deliver: Deliver, batchSize = 10) {
  const stop = new AbortController()
  // A drain takes what a sink throws for a failure and continues: it is kept here, and thrown below.
  let thrown: unknown
  const drain = new Drain({
    spool,
    sink,
    deliver: (batch, signal) =>
      deliver(batch, signal).catch((error: unknown) => {
        thrown ??= error
        throw error
      }),
    limits: { events: batchSize, bytes: 2 ** 22 },
    idleMs: 20,
    log: pino({ level: 'silent' }),
    metrics: new Metrics(),
  })
  const running = drain.run(stop.signal)
  t.after(async () => {
    stop.abort()
    await running
  })
  await until('the spool to be empty', () => spool.count === 0 || thrown !== undefined)
  if (thrown !== undefined) throw thrown
}

const sentOf = (batch: readonly Outgoing[]) => batch.map(({ body }) => JSON.parse(body) as Sent)
const judged = (
  batch: readonly Outgoing[],
  verdictOn: (event: Outgoing, i: number) => Verdict,
): Delivery => ({ kind: 'judged', verdicts: batch.map(verdictOn) })
const taken = (batch: readonly Outgoing[]) => judged(batch, () => 'taken')
const odd = { field: 'event.at', detail: 'odd' }
const turns = async (n: number) => {
  for (let i = 0; i < n; i++) await new Promise(setImmediate)
}

/** Fails when an event of a job came before one that is older. */
function jobOrder() {
  const next = new Map<string, number>()
  return (sent: readonly Sent[]) => {
    for (const { job, n } of sent) {
      const expected = next.get(job) ?? 0
      assert.ok(n <= expected, `event ${n} of a job came before event ${expected}`)
      if (n === expected) next.set(job, n + 1)
    }
  }
}

describe('Drain', () => {
  test('delivers a backlog side by side, each job in its order, and reads no further ahead than it must', async (t) => {
    const spool = await backlog(t, eventsOf(600, 7))
    const [inOrder, all] = [jobOrder(), new Set<number>()]
    let busy = 0
    let most = 0
    await drainAll(t, spool, async (batch) => {
      most = Math.max(most, ++busy)
      assert.ok(batch.length <= 10)
      // Reading ahead is bounded, however much waits.
      assert.ok(batch.at(-1)!.seq - spool.acked(sink) <= 4 * 10 + 10)
      inOrder(sentOf(batch))
      for (const { seq } of batch) all.add(seq)
      await turns(1 + (batch[0]!.seq % 5))
      busy--
      return taken(batch)
    })
    assert.equal(all.size, 600)
    assert.equal(most, 2)
  })

  test('keeps the order of each job through failures, half answers and batches that are too large', async (t) => {
    const spool = await backlog(t, eventsOf(400, 5))
    const inOrder = jobOrder()
    const got = new Set<number>()
    let calls = 0
    await drainAll(t, spool, async (batch) => {
      const call = ++calls
      await turns(1 + (call % 3))
      if (call % 11 === 3) return { kind: 'failed', reason: 'planted' }
      if (call % 17 === 5 && batch.length > 1) return { kind: 'too_large' }
      const some = call % 7 === 2 ? batch.slice(0, Math.ceil(batch.length / 2)) : batch
      inOrder(sentOf(some))
      for (const { seq } of some) got.add(seq)
      return judged(batch, (_, i) => (i < some.length ? 'taken' : 'later'))
    })
    assert.equal(got.size, 400)
    assert.deepEqual(spool.rejects.list(10), [])
  })

  test('acknowledges nothing after an event that is not delivered', async (t) => {
    const spool = await backlog(t, eventsOf(200, 40))
    let failed = 0
    const first = spool.peek(sink, 1, 1)[0]!
    await drainAll(t, spool, async (batch) => {
      await turns(1)
      if (batch[0]!.seq === first.seq && failed < 3) {
        failed++
        await turns(20)
        assert.equal(spool.count, 200)
        return { kind: 'failed', reason: 'planted' }
      }
      return taken(batch)
    })
    assert.equal(failed, 3)
  })

  test('sets aside once what is refused while others are under way', async (t) => {
    const spool = await backlog(t, eventsOf(300, 9))
    await drainAll(t, spool, async (batch) => {
      await turns(batch[0]!.seq % 4)
      return judged(batch, ({ seq }) => (seq % 50 === 0 ? odd : 'taken'))
    })
    assert.deepEqual(
      spool.rejects
        .list(100)
        .map(({ seq }) => seq)
        .sort((a, b) => a - b),
      [50, 100, 150, 200, 250, 300],
    )
  })

  for (const code of ['SQLITE_FULL', 'SQLITE_IOERR_WRITE']) {
    test(`keeps what was refused in one lane when noting it fails at first (${code})`, async (t) => {
      const spool = await backlog(t, eventsOf(200, 9))
      const ack = spool.ack.bind(spool)
      let failures = 3
      spool.ack = (name, seq, rejections = []) => {
        if (rejections.length > 0 && failures-- > 0) throw Object.assign(new Error('no'), { code })
        ack(name, seq, rejections)
      }
      await drainAll(t, spool, async (batch) => {
        await turns(1 + (batch[0]!.seq % 3))
        return judged(batch, ({ seq }) => (seq === 3 ? odd : 'taken'))
      })
      assert.ok(failures < 0)
      assert.deepEqual(
        spool.rejects.list(10).map(({ seq }) => seq),
        [3],
      )
    })
  }

  test('works again once it has recorded what the disk could not record at first', async (t) => {
    const spool = await fillSpool([{}])
    const ack = spool.ack.bind(spool)
    let failures = 3
    spool.ack = (...given) => {
      if (failures-- > 0) throw new Error('planted')
      ack(...given)
    }
    let offers = 0
    const draining = startDraining(spool, async (batch) => {
      offers++
      return taken(batch)
    })
    stopAfter(t, spool, draining)
    await until('the spool to be empty', () => spool.count === 0)
    assert.deepEqual([offers, draining.waits.length], [1, 3])
    const { failures: failing, reason } = draining.drain.state
    assert.deepEqual([failing, reason], [0, undefined])
  })

  for (const [name, fails] of [
    ['now and then', (read: number) => read % 4 === 2],
    ['many times in a row', (read: number) => read > 5 && read < 15],
    ['from the first read on', (read: number) => read < 8],
  ] as const) {
    test(`continues where it was when a lane cannot read its spool ${name}`, async (t) => {
      const spool = await fillSpool(eventsOf(300, 7))
      const peek = spool.peek.bind(spool)
      let [reads, failures] = [0, 0]
      spool.peek = (...given) => {
        if (!fails(reads++)) return peek(...given)
        failures++
        throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_READ' })
      }
      const underWay = new Set<string>()
      const sent: Sent[] = []
      const offers: number[] = []
      let beside = 0
      const draining = startDraining(spool, async (batch) => {
        const jobs = new Set(sentOf(batch).map(({ job }) => job))
        // A lane that failed waits for the other: none of its round runs beside the next one.
        beside += [...jobs].filter((job) => underWay.has(job)).length
        for (const job of jobs) underWay.add(job)
        sent.push(...sentOf(batch))
        offers.push(...batch.map(({ seq }) => seq))
        await turns(1 + (batch[0]!.seq % 4))
        for (const job of jobs) underWay.delete(job)
        return taken(batch)
      })
      stopAfter(t, spool, draining)
      await until('the spool to be empty', () => spool.count === 0)
      assert.ok(failures >= 3, `${failures}`)
      assert.equal(beside, 0, 'batches with events of one job, at the same time')
      jobOrder()(sent)
      const all = Array.from({ length: 300 }, (_, i) => i + 1)
      assert.deepEqual(
        offers.sort((a, b) => a - b),
        all,
        'each was offered once',
      )
      assert.equal(draining.drain.state.reason, undefined)
      assert.ok(draining.waits.length > 0)
    })
  }

  test('says that the spool cannot be read, and waits longer each time', async (t) => {
    const spool = await fillSpool([{}])
    spool.peek = () => {
      throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_READ' })
    }
    const draining = startDraining(spool, async (batch) => taken(batch))
    stopAfter(t, spool, draining)
    const { state } = draining.drain
    await until('some attempts', () => state.failures > 5)
    assert.equal(state.reason, 'the spool cannot be read')
    assert.deepEqual([spool.count, spool.rejects.list(1)], [1, []])
    assert.ok(draining.waits.at(-1)! > draining.waits[0]!)
  })

  test('delivers a backlog of a single job, in order', async (t) => {
    const spool = await backlog(t, eventsOf(200, 1))
    const inOrder = jobOrder()
    await drainAll(t, spool, async (batch) => {
      await turns(2)
      inOrder(sentOf(batch))
      return taken(batch)
    })
  })
})

test('events that wait and are not handed out stall, however often the drain looks', async (t) => {
  class Withholding extends Spool {
    override peek(): Outgoing[] {
      return []
    }
  }
  const spool = new Withholding({ dir: freshFolder(), sinks: [sink], maxBytes: 2 ** 28 })
  await spool.append([admitted({ json: JSON.stringify({ n: 1 }) })])
  let looks = 0
  const look = spool.recover.bind(spool)
  spool.recover = () => {
    looks++
    look()
  }
  const stop = new AbortController()
  const drain = new Drain({
    ...{ spool, sink, limits: { events: 10, bytes: 2 ** 20 }, idleMs: 10 },
    deliver: async () => ({ kind: 'failed', reason: 'nothing is offered' }),
    log: pino({ level: 'silent' }),
    metrics: new Metrics(),
  })
  const running = drain.run(stop.signal)
  t.after(async () => {
    stop.abort()
    await running
    spool.close()
  })
  await until('it to have looked often', () => looks > 20)
  assert.ok(drain.stalledMs > 150, `${drain.stalledMs} ms`)
})
