import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AppError } from '../../src/core/errors.ts'
import { HttpFailure } from '../../src/platform/http-failure.ts'
import { Breaker } from '../../src/sites/breaker.ts'

const never = new AbortController().signal
const outage = (why = 'is away') =>
  new AppError('unreachable', why, { cause: new HttpFailure('timeout', why) })
const ok = async () => 'answer'
const away = async () => {
  throw outage()
}

/** A breaker over a clock and a probe of the test's own. */
function aBreaker(limit = 3) {
  const probe = { asked: 0, answer: Promise.withResolvers<void>() }
  const clock = { ms: 0 }
  const breaker = new Breaker({
    limit,
    restMs: 1000,
    now: () => clock.ms,
    probe: () => {
      probe.asked++
      return probe.answer.promise
    },
  })
  const fail = async (times: number) => {
    for (let i = 0; i < times; i++) await assert.rejects(breaker.run(never, away), /is away/)
  }
  return { breaker, probe, clock, fail }
}

describe('a breaker', () => {
  test('lets every question pass until some in a row got no answer', async () => {
    const { breaker, fail, probe } = aBreaker()
    await fail(2)
    assert.equal(await breaker.run(never, ok), 'answer')
    await fail(2)
    assert.equal(breaker.isOpen, false)
    await fail(1)
    assert.equal(breaker.isOpen, true)
    assert.equal(probe.asked, 0)
  })

  test('counts a refusal as an answer, and a caller that leaves as none', async () => {
    const { breaker, fail } = aBreaker()
    await fail(2)
    const refused = async () => {
      throw new AppError('invalid', 'refused')
    }
    await assert.rejects(breaker.run(never, refused), /refused/)
    await fail(2)
    assert.equal(breaker.isOpen, false)
    const left = AbortSignal.abort()
    for (let i = 0; i < 5; i++) await assert.rejects(breaker.run(left, away))
    assert.equal(breaker.isOpen, false)
  })

  test('open, lets one question go and holds the others back, which fail with the probe', async () => {
    const { breaker, probe, fail } = aBreaker()
    await fail(3)
    const first = Promise.withResolvers<string>()
    const asking = breaker.run(never, () => first.promise)
    let asked = 0
    const others = Array.from({ length: 5 }, () => breaker.run(never, async () => asked++))
    probe.answer.reject(outage('does not answer the probe'))
    for (const other of others) await assert.rejects(other, /does not answer the probe/)
    await assert.rejects(breaker.run(never, ok), /does not answer the probe/)
    assert.deepEqual([asked, probe.asked], [0, 1])
    first.resolve('answer')
    assert.equal(await asking, 'answer')
    assert.equal(breaker.isOpen, false)
  })

  test('closes for all who wait when the probe is answered, though the question is not', async () => {
    const { breaker, probe, fail } = aBreaker()
    await fail(3)
    void breaker.run(never, () => new Promise(() => {}))
    const other = breaker.run(never, ok)
    probe.answer.resolve()
    assert.equal(await other, 'answer')
    assert.equal(breaker.isOpen, false)
  })

  test('closes for all who wait when the question is answered, though the probe is not', async () => {
    const { breaker, fail } = aBreaker()
    await fail(3)
    const first = breaker.run(never, ok)
    assert.deepEqual(await Promise.all([first, breaker.run(never, ok)]), ['answer', 'answer'])
  })

  test('open, lets another question go after each pause', async () => {
    const { breaker, probe, clock, fail } = aBreaker()
    probe.answer.reject(outage())
    await fail(3)
    let asked = 0
    const ask = () =>
      breaker.run(never, () => {
        asked++
        return away()
      })
    for (let ms = 0; ms < 3000; ms += 250) {
      clock.ms = ms
      await assert.rejects(ask(), /is away/)
    }
    assert.deepEqual([asked, probe.asked], [3, 3])
    clock.ms = 3000
    assert.equal(await breaker.run(never, ok), 'answer')
    assert.equal(await breaker.run(never, ok), 'answer')
  })

  test('that opens again soon after a probe asks again, and never fails without a reason', async () => {
    const { breaker, probe, fail } = aBreaker()
    await fail(3)
    assert.equal(await breaker.run(never, ok), 'answer')
    await fail(3)
    void breaker.run(never, () => new Promise(() => {}))
    const other = breaker.run(never, ok)
    assert.equal(probe.asked, 2)
    probe.answer.resolve()
    assert.equal(await other, 'answer')
  })

  test('open, lets those that wait for a probe that hangs go when a later question is answered', async () => {
    const { breaker, clock, fail } = aBreaker()
    await fail(3)
    void breaker.run(never, () => new Promise(() => {}))
    const answers: string[] = []
    void breaker.run(never, ok).then((answer) => answers.push(answer))
    clock.ms = 1000
    assert.equal(await breaker.run(never, ok), 'answer')
    await new Promise(setImmediate)
    assert.deepEqual(answers, ['answer'])
  })

  test('open, rests after a probe that took as long as the pause', async () => {
    const { breaker, probe, clock, fail } = aBreaker()
    await fail(3)
    void breaker.run(never, () => new Promise(() => {}))
    const other = breaker.run(never, ok)
    clock.ms = 1000
    probe.answer.reject(outage('did not answer in time'))
    await assert.rejects(other, /did not answer in time/)
    await assert.rejects(breaker.run(never, ok), /did not answer in time/)
    assert.equal(probe.asked, 1)
    clock.ms = 2000
    assert.equal(await breaker.run(never, ok), 'answer')
  })

  test('lets a caller leave while it waits', async () => {
    const { breaker, fail } = aBreaker()
    await fail(3)
    void breaker.run(never, () => new Promise(() => {}))
    const gone = new AbortController()
    const waiting = breaker.run(gone.signal, ok)
    gone.abort(new Error('left'))
    await assert.rejects(waiting, /^Error: left$/)
  })
})
