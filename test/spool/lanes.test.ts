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

test('lanes offer new events of other jobs once what comes later was offered in vain', () => {
  const jobs = ['a', 'b', 'a', 'c', 'b', 'a']
  const read = (after: number, limit: number) =>
    jobs.slice(after, after + limit).map((id, i) => {
      const body = JSON.stringify({ entity: { type: 'job', id }, event: { kind: 'started' } })
      return new Outgoing(after + 1 + i, body)
    })
  const lanes = new Lanes({
    ...{ limits: { events: 2, bytes: 2 ** 20 }, read },
    ...{ last: () => jobs.length, acked: 0 },
  })
  const take = () => {
    const batch = lanes.take(2)
    return { batch, numbers: batch.map(({ seq }) => seq) }
  }
  const first = take()
  assert.equal(lanes.settle(first.batch, ['later', 'taken']), 1)
  const again = take()
  assert.deepEqual(again.numbers, [1], 'what comes later goes first, alone')
  lanes.putBack(again.batch)
  const others = take()
  assert.deepEqual(others.numbers, [4, 5], 'nothing newer of its job')
  lanes.settle(others.batch, ['taken', 'taken'])
  const third = take()
  assert.deepEqual(third.numbers, [1], 'they take turns')
  assert.equal(lanes.settle(third.batch, ['later']), 0)
  const fourth = take()
  assert.deepEqual(fourth.numbers, [1], 'there is no other job')
  lanes.settle(fourth.batch, ['taken'])
  assert.deepEqual(take().numbers, [3, 6])
})
