import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { Outgoing, toJudged } from '../../src/core/delivery.ts'

describe('an event on its way to a sink', () => {
  test('is parsed once, and only when it is looked at', () => {
    const event = new Outgoing(1, '{"entity":{"type":"job"},"\\u0061":1}')
    assert.equal(event.event, event.event)
    assert.deepEqual(event.event, { entity: { type: 'job' }, a: 1 })
  })

  test('has no event when what the disk gives back is not one', () => {
    for (const body of ['', '{', 'null', '[]', '1', '"text"', '{"a":1}}']) {
      assert.equal(new Outgoing(1, body).event, undefined, body)
    }
  })
})

describe('the verdicts of a sink', () => {
  test('are one for each event, or the sink finds out itself', () => {
    const batch = [new Outgoing(1, '{}'), new Outgoing(2, '{}')]
    const verdicts = ['taken', { field: '', detail: 'odd' }] as const
    assert.deepEqual(toJudged(batch, verdicts), { kind: 'judged', verdicts })
    assert.throws(() => toJudged(batch, ['taken']), /1 verdicts on 2 events/)
  })
})
