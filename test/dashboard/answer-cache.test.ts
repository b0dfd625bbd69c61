import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AppError } from '../../src/core/errors.ts'
import { AnswerCache } from '../../src/dashboard/model/answer-cache.ts'
import { clock } from '../../src/platform/clock.ts'

function aCache({ mostRows = 10 } = {}) {
  let nowMs = 1_000_000
  const cache = new AnswerCache({ freshMs: 2000, restMs: 3000, mostRows, now: () => nowMs })
  let asked = 0
  return {
    cache,
    pass: (ms: number) => {
      nowMs += ms
    },
    asked: () => asked,
    answer: (key = 'a') => cache.ask(key, async () => ++asked),
    outage: (key = 'a') =>
      cache.ask(key, async () => {
        asked++
        throw new AppError('unreachable', 'away')
      }),
  }
}

describe('AnswerCache', () => {
  test('asks once for callers at the same time, and for those just after', async () => {
    const { answer, asked, pass } = aCache()
    const answers = await Promise.all([answer(), answer(), answer()])
    pass(1999)
    answers.push(await answer())
    assert.deepEqual(
      answers.map(({ value }) => value),
      [1, 1, 1, 1],
    )
    assert.equal(asked(), 1)
    pass(1)
    assert.equal((await answer()).value, 2)
  })

  test('gives the last answer during an outage, with its age, and does not retry each time', async () => {
    const { answer, outage, asked, pass } = aCache()
    await answer()
    pass(60_000)
    const old = await outage()
    assert.deepEqual([old.value, old.at, old.failure?.message], [1, 1_000_000, 'away'])
    pass(2999)
    assert.equal((await outage()).value, 1)
    assert.equal(asked(), 2)
    pass(1)
    assert.deepEqual(await answer(), { value: 3, at: 1_063_000, failure: undefined })
  })

  test('throws an outage when there never was an answer', async () => {
    await assert.rejects(aCache().outage(), /away/)
  })

  test('throws an error that is not an outage, even with an old answer', async () => {
    const { cache, answer, pass } = aCache()
    await answer()
    pass(5000)
    const wrong = async () => {
      throw new AppError('invalid', 'from: after to')
    }
    await assert.rejects(cache.ask('a', wrong), /after to/)
  })

  test('asks again after a change, also while a question is in progress', async () => {
    const { cache, answer, pass } = aCache()
    await answer()
    pass(10)
    cache.expire()
    assert.equal((await answer()).value, 2)

    let finish = (_value: string) => {}
    const slow = cache.ask('b', () => new Promise<string>((resolve) => (finish = resolve)))
    pass(10)
    cache.expire()
    const fresh = await cache.ask('b', async () => 'after')
    finish('before')
    assert.equal(fresh.value, 'after')
    assert.equal((await slow).value, 'after')
    assert.equal((await cache.ask('b', async () => 'again')).value, 'after')
  })

  test('keeps no more than its maximum, and drops the least recently asked', async () => {
    const { answer, asked } = aCache({ mostRows: 2 })
    for (const key of ['a', 'b', 'a', 'c', 'a']) await answer(key)
    assert.equal(asked(), 3)
    await answer('b')
    assert.equal(asked(), 4)
  })

  test('holds the answers of every open page, and apart from them what is kept for long', async () => {
    const { cache } = aCache({ mostRows: 5000 })
    let counted = 0
    const causes = () =>
      cache.ask(
        'causes',
        async () => ++counted,
        () => 600_000,
      )
    await causes()
    const asked: string[] = []
    const ask = (key: string, rows: number) =>
      cache.ask(key, async () => {
        asked.push(key)
        return { items: Array.from({ length: rows }) }
      })
    for (let page = 0; page < 200; page++) for (let n = 0; n < 8; n++) await ask(`${page} ${n}`, 3)
    await causes()
    assert.equal(counted, 1)
    asked.length = 0
    await ask('0 0', 3)
    assert.deepEqual(asked, [])
    // By rows, not by answers: one long list is worth many short ones.
    await ask('long', 4990)
    await ask('100 0', 3)
    assert.deepEqual(asked, ['long', '100 0'])
    await causes()
    assert.equal(counted, 1)
  })

  test('takes the newer answer also when the clock was set back in between', async (t) => {
    let wallMs = Date.UTC(2026, 2, 1, 12)
    const monotonicMs = () => 0
    t.after(clock.use({ wallMs: () => wallMs, monotonicMs, uptimeMs: monotonicMs }))
    const cache = new AnswerCache({ freshMs: 0, restMs: 0, mostRows: 1 })
    assert.equal((await cache.ask('a', async () => 'before')).at, wallMs)
    wallMs -= 3_600_000
    assert.deepEqual(await cache.ask('a', async () => 'after'), {
      ...{ value: 'after', at: wallMs, failure: undefined },
    })
  })
})
