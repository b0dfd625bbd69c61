import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outgoing } from '../../src/core/delivery.ts'
import { must } from '../../src/core/must.ts'
import { aheadEvents, Lanes } from '../../src/spool/lanes.ts'

test('lanes read a bounded number of events ahead, however large a batch may be', () => {
  const read = (after: number, limit: number) =>
    Array.from({ length: limit }, (_, i) => new Outgoing(after + 1 + i, '{}'))
  const limits = { events: 10_000, bytes: 2 ** 30 }
  const lanes = new Lanes({ limits, read, last: () => 100_000, acked: 0 })
  const first = lanes.take(limits.events)
  assert.equal(first.length, aheadEvents)
  assert.deepEqual(lanes.take(limits.events), [], 'nothing beyond until some are acknowledged')
  lanes.settle(
    first,
    first.map(() => 'taken'),
  )
  lanes.forget(must(lanes.closedPrefix(), 'all are closed'))
  assert.equal(lanes.take(limits.events)[0]?.seq, aheadEvents + 1)
})
