import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeOutage } from '../../src/dashboard/model/error-text.ts'

for (const [message, expected] of [
  ['the API at a:1 cannot be reached (ECONNREFUSED)', 'The API at a:1 cannot be reached.'],
  [
    'the API at a:1 answered 502: no site answers (fab1: the API at b:1 answered 503: the database cannot be reached (57P03))',
    'The API at a:1 says: no site answers (fab1: the API at b:1 says: the database cannot be reached).',
  ],
  ['the API at a:1 answered 500', 'The API at a:1 failed.'],
  ['no answer within 3 s.', 'No answer within 3 s.'],
] as const) {
  test(`the reason for people: ${expected}`, () => {
    assert.equal(describeOutage(new Error(message)), expected)
  })
}
