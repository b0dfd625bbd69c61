import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AppError } from '../../src/core/errors.ts'
import { AnswerCache } from '../../src/dashboard/model/answer-cache.ts'

function aMemory({ most = 10 } = {}) {
  let nowMs = 1_000_000
  const memory = new AnswerCache({ freshMs: 2000, restMs: 3000, most, now: () => nowMs })
  let asked = 0
  return {
    memory,
    pass: (ms: number) => {
      nowMs += ms
    },
    asked: () => asked,
    answer: (key = 'a') => memory.ask(key, async () => ++asked),
    outage: (key = 'a') =>
      memory.ask(key, async () => {
        asked++
        throw new AppError('unreachable', 'away')
      }),
  }
}

describe('AnswerCache', () => {
  test('asks once for those who ask at the same time, and for those just after', async () => {
    const { answer, asked, pass } = aMemory()
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

  test('gives the last answer during an outage, with its age, and does not press', async () => {
    const { answer, outage, asked, pass } = aMemory()
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
    await assert.rejects(aMemory().outage(), /away/)
  })

  test('throws what is no outage, even with an old answer', async () => {
    const { memory, answer, pass } = aMemory()
    await answer()
    pass(5000)
    const wrong = async () => {
      throw new AppError('invalid', 'from: after to')
    }
    await assert.rejects(memory.ask('a', wrong), /after to/)
  })

  test('asks anew once something changed, also when a question is under way', async () => {
    const { memory, answer, pass } = aMemory()
    await answer()
    pass(10)
    memory.expire()
    assert.equal((await answer()).value, 2)

    let finish = (_value: string) => {}
    const slow = memory.ask('b', () => new Promise<string>((resolve) => (finish = resolve)))
    pass(10)
    memory.expire()
    const fresh = await memory.ask('b', async () => 'after')
    finish('before')
    assert.equal(fresh.value, 'after')
    assert.equal((await slow).value, 'after')
    assert.equal((await memory.ask('b', async () => 'again')).value, 'after')
  })

  test('keeps no more than it may: what was not asked for longest goes', async () => {
    const { answer, asked } = aMemory({ most: 2 })
    for (const key of ['a', 'b', 'a', 'c', 'a']) await answer(key)
    assert.equal(asked(), 3)
    await answer('b')
    assert.equal(asked(), 4)
  })
})
