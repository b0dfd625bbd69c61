import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Delivery, Outgoing, Verdict } from '../../src/core/delivery.ts'
import { fillSpool, sinkName, startDraining } from '../support/draining.ts'
import { until } from '../support/processes.ts'
import { runs } from '../support/wild.ts'

/* Any verdicts on any batches, in lanes and one by one, against what must be true of them. */

const verdict = fc.constantFrom<Verdict>(...(['taken', 'taken', 'later'] as const), {
  field: 'event.at',
  detail: 'odd',
})
const answer = fc.oneof(
  { weight: 6, arbitrary: fc.array(verdict, { minLength: 1, maxLength: 8 }) },
  fc.constantFrom('failed', 'too large', 'one verdict too many', 'throws', 'acknowledges all'),
)
type Answer = typeof answer extends fc.Arbitrary<infer T> ? T : never

const plan = fc.record({
  /** The job of each event. */
  jobs: fc.array(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 60 }),
  batch: fc.integer({ min: 1, max: 7 }),
  /** After these everything is taken. */
  answers: fc.array(answer, { maxLength: 25 }),
  /** How long each answer takes, in turns of the event loop. */
  turns: fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 5 }),
})
type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never

describe('whatever a sink answers', () => {
  test('what is acknowledged is a beginning of what it took or refused, each refused event is a reject once, no event is left out or overtakes', async () => {
    await fc.assert(fc.asyncProperty(plan, deliverAll), { numRuns: runs(60) })
  })
})

async function deliverAll({ jobs, batch, answers, turns }: Plan): Promise<void> {
  const spool = await fillSpool(jobs.map((job) => ({ entity: { type: 'job', id: `${job}` } })))
  const model = new Model(jobs)
  let calls = 0
  let thrown: unknown
  const draining = startDraining(
    spool,
    async (events) => {
      const call = calls++
      try {
        assert.ok(events.length > 0 && events.length <= batch)
        model.offer(events)
        model.assertAcked(spool.acked(sinkName))
      } catch (error) {
        thrown ??= error
      }
      for (let i = turns[call % turns.length]!; i > 0; i--) await new Promise(setImmediate)
      const delivery = toDelivery(answers[call] ?? ['taken'], events)
      model.answer(events, delivery)
      return delivery
    },
    { events: batch, bytes: 2 ** 20 },
  )
  try {
    await until('the spool to be empty', () => spool.count === 0 || thrown !== undefined)
    if (thrown) throw thrown
    model.assertAcked(jobs.length)
    assert.equal(model.offered.size, jobs.length)
    const rejects = spool.rejects.list(jobs.length + 1).map(({ seq }) => seq)
    assert.deepEqual(rejects.sort(byNumber), [...model.refused].sort(byNumber))
  } finally {
    await draining.stop()
    spool.close()
  }
}

const byNumber = (a: number, b: number) => a - b

function toDelivery(planned: Answer, events: readonly Outgoing[]): Delivery {
  switch (planned) {
    case 'failed':
      return { kind: 'failed', reason: 'planted' }
    case 'too large':
      return { kind: 'too_large' }
    case 'one verdict too many':
      return { kind: 'judged', verdicts: [...events, 0].map(() => 'taken') }
    case 'acknowledges all':
      return { kind: 'taken', upTo: 1_000_000, refused: [] } as unknown as Delivery
    case 'throws':
      throw new Error('planted')
    default:
      return { kind: 'judged', verdicts: events.map((_, i) => planned[i % planned.length]!) }
  }
}

/** The state of each event, by the verdicts on it alone. */
class Model {
  readonly offered = new Set<number>()
  readonly refused = new Set<number>()
  readonly #closed = new Set<number>()
  readonly #jobs: readonly number[]

  constructor(jobs: readonly number[]) {
    this.#jobs = jobs
  }

  offer(events: readonly Outgoing[]): void {
    const inBatch = new Set<number>()
    for (const { seq } of events) {
      this.offered.add(seq)
      assert.ok(!this.#closed.has(seq), `${seq} was offered after it was taken or refused`)
      for (let earlier = 1; earlier < seq; earlier++) {
        if (this.#jobs[earlier - 1] !== this.#jobs[seq - 1]) continue
        const settled = this.#closed.has(earlier) || inBatch.has(earlier)
        assert.ok(settled, `${seq} overtook ${earlier} of its job`)
      }
      inBatch.add(seq)
    }
  }

  answer(events: readonly Outgoing[], delivery: Delivery): void {
    if (delivery.kind !== 'judged' || delivery.verdicts.length !== events.length) return
    for (const [i, { seq }] of events.entries()) {
      const one = delivery.verdicts[i]
      if (one !== 'later') this.#closed.add(seq)
      if (typeof one === 'object') this.refused.add(seq)
    }
  }

  assertAcked(acked: number): void {
    for (let seq = 1; seq <= acked; seq++) {
      assert.ok(this.#closed.has(seq), `${seq} was acknowledged, neither taken nor refused`)
    }
  }
}
