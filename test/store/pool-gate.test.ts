import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { PoolGate } from '../../src/store/pool-gate.ts'

/** Longer than any test. */
const longMs = 600_000

describe('PoolGate', () => {
  test('admits as many as there is room for, and the others in their order', async () => {
    const gate = new PoolGate(2)
    const entered: number[] = []
    const enter = (n: number) => gate.enter(longMs).then(() => entered.push(n))
    const all = [1, 2, 3, 4].map(enter)
    await Promise.all(all.slice(0, 2))
    assert.deepEqual([entered, gate.free], [[1, 2], 0])
    gate.leave()
    await all[2]
    assert.deepEqual([entered, gate.free], [[1, 2, 3], 0])
    gate.leave()
    gate.leave()
    gate.leave()
    await all[3]
    assert.deepEqual([entered, gate.free], [[1, 2, 3, 4], 2])
  })

  test('refuses a caller that waited too long, and one that comes when too many wait', async () => {
    const gate = new PoolGate(1, { maxWaiting: 1 })
    await gate.enter(longMs)
    const impatient = gate.enter(1)
    await assert.rejects(gate.enter(longMs), { code: 'overloaded', retryAfterS: 1 })
    await assert.rejects(impatient, { code: 'overloaded', message: /connections are busy/ })
    // The place of the one that gave up is free, and nothing is let in for it.
    const patient = gate.enter(longMs)
    gate.leave()
    await patient
    assert.equal(gate.free, 0)
    gate.leave()
    assert.equal(gate.free, 1)
  })

  test('lets a waiting caller leave, with its reason', async () => {
    const gate = new PoolGate(1)
    await gate.enter(longMs)
    const caller = new AbortController()
    const waiting = gate.enter(longMs, caller.signal)
    const next = gate.enter(longMs)
    caller.abort(new Error('gone'))
    await assert.rejects(waiting, /gone/)
    gate.leave()
    await next
    await assert.rejects(gate.enter(longMs, caller.signal), /gone/)
    gate.leave()
    assert.equal(gate.free, 1)
  })

  test('reports how many are free whenever that changes', async () => {
    const seen: number[] = []
    const gate = new PoolGate(2, { onChange: (free) => seen.push(free) })
    await gate.enter(longMs)
    await gate.enter(longMs)
    const third = gate.enter(longMs)
    gate.leave()
    await third
    gate.leave()
    gate.leave()
    assert.deepEqual(seen, [1, 0, 1, 2])
  })
})
