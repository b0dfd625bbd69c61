import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { AppError } from '../../src/core/errors.ts'
import { readEvent } from '../../src/core/read-event.ts'
import type { Sender } from '../../src/core/sender.ts'

const receivedAt = '2026-03-01T12:00:00.000000Z'
const far = '9999-12-31T23:59:59.000000Z'
const limits = { maxEventBytes: 65_536, maxSkewS: 600 }
const source = { id: 'bn-07', epoch: 'e1', seq: 7 }

const event = (more: object = {}, times: object = {}) => ({
  idempotency_key: '0193581e-7c42-7d10-9a35-6f0c41c2b7e8',
  site_id: 'fab1',
  app: { app_id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8', name: 'etch' },
  entity: { type: 'job', id: '5f0c41c2-7c42-4d10-9a35-0193581eb7e8' },
  event: { kind: 'progress', at: '2026-03-01T11:00:00.000000Z', ...times },
  ...more,
})
const stamped = (times: object = {}, received_at = '2026-03-01T11:00:01.000000Z') =>
  event({ source, received_at }, times)

function take(input: object, sender: Sender) {
  const read = readEvent(input, { receivedAt, sender }, limits)
  assert.ok(read.ok, JSON.stringify(read))
  return read
}

describe('a stamp', () => {
  test('is dropped when its sender may not forward: this hop is the first', () => {
    const read = take(stamped({ at: far }, far), { mayForward: false })
    assert.equal('source' in read.event, false)
    assert.equal(read.event.received_at, receivedAt)
    assert.deepEqual([read.event.event.at, read.event.event.reported_at], [receivedAt, far])
    assert.deepEqual([read.corrected, read.unstamped], [true, true])
    assert.doesNotMatch(read.json, /bn-07/)
  })

  test('is kept when its sender may, and so are clocks that a first hop lets pass', () => {
    const ahead = '2026-03-02T11:59:00.000000Z'
    const read = take(stamped({ at: ahead }, '2026-03-02T11:50:00.000000Z'), { mayForward: true })
    assert.deepEqual(read.event.source, source)
    assert.equal(read.event.event.at, ahead)
    assert.equal(read.event.received_at, '2026-03-02T11:50:00.000000Z')
    assert.deepEqual([read.corrected, read.unstamped], [false, false])
  })

  test('does not carry a year past the correction of clocks', () => {
    const times = { at: far, started_at: far, ended_at: far }
    const { event: taken, corrected } = take(stamped(times, far), { mayForward: true })
    assert.equal(corrected, true)
    assert.equal(taken.received_at, receivedAt)
    for (const name of ['at', 'started_at', 'ended_at'] as const) {
      assert.deepEqual([taken.event[name], taken.event[`reported_${name}`]], [receivedAt, far])
    }
    assert.deepEqual(taken.source, source)
  })

  test('alone may say what a clock said before: of other senders it is dropped', () => {
    const reported_at = '2027-01-01T00:00:00.000000Z'
    for (const input of [event({}, { reported_at }), stamped({ reported_at })]) {
      const read = take(input, { mayForward: false })
      assert.equal('reported_at' in read.event.event, false)
      assert.doesNotMatch(read.json, /reported_at/)
    }
  })

  test('keeps what the sender first reported when it is corrected once more', () => {
    const reported_at = '2027-01-01T00:00:00.000000Z'
    const { event: taken } = take(stamped({ at: far, reported_at }), { mayForward: true })
    assert.equal(taken.event.reported_at, reported_at)
  })
})

describe('a bounded sender', () => {
  test('sends events of its sites, and others are refused one by one', () => {
    const sender = { mayForward: false, sites: ['fab1', 'fab3'] }
    take(event(), sender)
    const read = readEvent(event({ site_id: 'fab2' }), { receivedAt, sender }, limits)
    assert.ok(!read.ok)
    assert.equal(read.field, 'site_id')
    assert.match(read.detail, /must be fab1 or fab3.*got "fab2"/)
  })

  test('forwards the stamps of its spools, and a request with another is refused whole', () => {
    const hop = (...sources: string[]) => ({ receivedAt, sender: { mayForward: true, sources } })
    assert.ok(readEvent(stamped(), hop('bn-06', 'bn-07'), limits).ok)
    assert.throws(
      () => readEvent(stamped(), hop('bn-06'), limits),
      (error) => error instanceof AppError && error.code === 'forbidden',
    )
    assert.ok(readEvent(event(), hop('bn-06'), limits).ok, 'no stamp at all')
  })
})
