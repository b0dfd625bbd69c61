import assert from 'node:assert/strict'
import { describe, type TestContext, test } from 'node:test'
import { clock } from '../../src/platform/clock.ts'

const noonMs = Date.UTC(2026, 2, 1, 12)

/** Time as a test says; both readings go on together. */
function useTime(t: TestContext) {
  const time = { wall: noonMs, monotonic: 5000 }
  const source = { wallMs: () => Math.floor(time.wall), monotonicMs: () => time.monotonic }
  t.after(clock.use(source))
  return {
    pass(ms: number) {
      time.wall += ms
      time.monotonic += ms
    },
    step(ms: number) {
      time.wall += ms
    },
  }
}

describe('the clock', () => {
  test('has microseconds although the wall clock has none', (t) => {
    const time = useTime(t)
    time.pass(0.25)
    assert.equal(clock.now(), '2026-03-01T12:00:00.000250Z')
    assert.equal(clock.nowMs(), noonMs)
  })

  for (const minutes of [20, -20]) {
    test(`follows a step of ${minutes} minutes while the process runs`, (t) => {
      const time = useTime(t)
      time.step(minutes * 60_000)
      assert.equal(clock.nowMs(), noonMs + minutes * 60_000)
      time.pass(1500)
      assert.equal(clock.nowMs(), noonMs + minutes * 60_000 + 1500)
    })
  }

  test('never goes back between two settings', (t) => {
    const time = useTime(t)
    let last = clock.now()
    for (let i = 0; i < 5000; i++) {
      time.pass(0.3)
      const now = clock.now()
      assert.ok(now >= last, `${now} came after ${last}`)
      last = now
    }
  })

  test('is that of the machine unless a test gives another', () => {
    const before = Date.now()
    const now = clock.nowMs()
    assert.ok(now >= before - 3 && now <= Date.now() + 3)
  })
})
