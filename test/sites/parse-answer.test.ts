import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { AppError } from '../../src/core/errors.ts'
import { readItems } from '../../src/sites/parse-answer.ts'
import { runs } from '../support/wild.ts'

const read = readItems(
  (item) => item,
  (items, rest) => ({ ...(rest as object), items }),
)

describe('an answer with items', () => {
  test('is what it is in one piece, however it is written and whatever stands around', async () => {
    const other = fc.dictionary(
      fc.string().filter((name) => name !== 'items' && name !== '__proto__'),
      fc.oneof(fc.jsonValue(), fc.constant({ items: [1] }), fc.constant('"items":[')),
    )
    await fc.assert(
      fc.asyncProperty(
        other,
        fc.array(fc.jsonValue()),
        other,
        fc.constantFrom('', ' ', '\t', '\r\n'),
        async (before, items, after, indent) => {
          const whole = { ...before, items, ...after }
          const text = JSON.stringify(whole, null, indent)
          const parsed = JSON.parse(text) as object
          assert.deepEqual(await read(text), {
            ...parsed,
            items: JSON.parse(JSON.stringify(items)),
          })
        },
      ),
      { numRuns: runs(300) },
    )
  })

  test('is no list without them, and no JSON when it is cut or continues', async () => {
    for (const text of ['{}', '{"items":{"a":1}}', '{"items":null}', '[1]', '"items"', 'null']) {
      const { items, ...rest } = await read(text)
      assert.deepEqual(items, [], text)
      assert.ok(!('items' in rest))
    }
    const text = '{"a":"b","items":[{"c":1},2],"d":[]}'
    const broken = Array.from({ length: text.length - 1 }, (_, i) => text.slice(0, i + 1))
    for (const bad of [
      ...broken,
      `${text}x`,
      '{"items":[1 2]}',
      '{"items":[,]}',
      '{items:[]}',
      '',
    ]) {
      await assert.rejects(
        async () => read(bad),
        (error) =>
          error instanceof SyntaxError ||
          (error instanceof AppError && error.code === 'unreadable'),
        bad,
      )
    }
  })

  test('is parsed in many turns of the event loop when it is long', async () => {
    const item = JSON.stringify({ text: 'x'.repeat(10_000) })
    const text = `{"items":[${Array(400).fill(item).join(',')}]}`
    let turns = 0
    let reading = true
    const count = () => {
      turns++
      if (reading) setImmediate(count)
    }
    setImmediate(count)
    const { items } = await read(text)
    reading = false
    assert.equal(items.length, 400)
    assert.ok(turns >= 25, `${turns} turns for ${text.length} characters`)
  })
})
