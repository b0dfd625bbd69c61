import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { badNumber, parseJson } from '../../src/core/json.ts'

describe('parseJson', () => {
  for (const text of [
    '1e-400',
    '-1E-0400',
    '[1.5e-400]',
    '{"a":1e-400}',
    '{"a": \n -12.5e-4000}',
    `[0,0.${'0'.repeat(400)}1]`,
  ]) {
    test(`marks a number that is too small for a double: ${text.slice(0, 20)}`, () => {
      const found: unknown[] = []
      const collect = (value: unknown): void => {
        if (value !== null && typeof value === 'object') Object.values(value).forEach(collect)
        else found.push(value)
      }
      collect(parseJson(text))
      assert.ok(found.includes(badNumber), JSON.stringify(found))
    })
  }

  test('leaves zeros, small doubles and text as they are', () => {
    const text = '[0, 0e-400, 1e-300, "1e-400", "a 1e-400", "0193581e-123a-7d10-9a35-6f0c41c2b7e8"]'
    assert.deepEqual(parseJson(text), JSON.parse(text))
  })
})
