import assert from 'node:assert/strict'
import { syncBuiltinESMExports } from 'node:module'
import os from 'node:os'
import { describe, type TestContext, test } from 'node:test'
import { pino } from 'pino'
import { clock, describeClock, watchClock } from '../../src/platform/clock.ts'

const noonMs = Date.UTC(2026, 2, 1, 12)

/** Time as a test says; all readings go on together. */
function useTime(t: TestContext) {
  const time = { wall: noonMs, monotonic: 5000, uptime: 900_000 }
  const source = {
    wallMs: () => Math.floor(time.wall),
    monotonicMs: () => time.monotonic,
    uptimeMs: () => Math.floor(time.uptime / 10) * 10,
  }
  t.after(clock.use(source))
  return {
    source,
    pass(ms: number) {
      time.wall += ms
      time.monotonic += ms
      time.uptime += ms
    },
    step(ms: number) {
      time.wall += ms
    },
    sleep(ms: number) {
      time.wall += ms
      time.uptime += ms
    },
  }
}

describe('the start of the machine', () => {
  test('is named by the kernel, and the same for as long as the machine runs', () => {
    const boot = clock.boot()
    assert.match(boot ?? '', /^[0-9a-f-]{36} time:\[\d+\]$/)
    assert.equal(clock.boot(), boot)
  })

  test('is not known where the uptime is not that of the kernel', (t) => {
    t.mock.method(os, 'uptime', () => 60)
    syncBuiltinESMExports()
    t.after(() => {
      t.mock.restoreAll()
      syncBuiltinESMExports()
    })
    assert.equal(clock.boot(), undefined)
  })
})

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

  test('tells a step from a sleep, and both when they come together', (t) => {
    const time = useTime(t)
    const told: string[] = []
    t.after(clock.onChange(({ kind, byS }) => told.push(`${kind} ${byS}`)))
    time.step(-1_200_000)
    clock.now()
    time.sleep(3_600_000)
    clock.now()
    time.sleep(60_000)
    time.step(5000)
    clock.nowMs()
    assert.deepEqual(told, ['step -1200', 'suspend 3600', 'suspend 60', 'step 5'])
    const last = { kind: 'step', at: clock.now(), by_s: 5 }
    assert.deepEqual(describeClock(), { clock: { steps: 2, suspends: 2, last } })
  })

  test('follows what NTP slews without a word', (t) => {
    const time = useTime(t)
    for (let i = 0; i < 100; i++) {
      time.pass(1000)
      time.step(20)
      assert.equal(clock.nowMs(), noonMs + (i + 1) * 1020)
    }
    assert.deepEqual(describeClock(), {})
  })

  test('takes a process that was stopped between two readings for no step', (t) => {
    const time = useTime(t)
    const { source } = time
    let stopped = false
    const wallMs = () => {
      if (stopped) time.pass(20_000)
      stopped = false
      return source.wallMs()
    }
    t.after(clock.use({ ...source, wallMs }))
    stopped = true
    assert.equal(clock.nowMs(), noonMs + 20_000)
    assert.deepEqual(describeClock(), {})
  })

  test('writes steps and sleeps to the log until the role stops', (t) => {
    const time = useTime(t)
    const lines: string[] = []
    const log = pino(
      { base: null, timestamp: false },
      { write: (line: string) => lines.push(line) },
    )
    const stop = new AbortController()
    watchClock(log, stop.signal)
    time.step(1_200_000)
    clock.now()
    time.sleep(7000)
    clock.now()
    stop.abort()
    time.step(9000)
    clock.now()
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)),
      [
        { level: 40, by_s: 1200, msg: 'the clock of this machine was set' },
        { level: 40, for_s: 7, msg: 'this machine was asleep' },
      ],
    )
  })

  test('is that of the machine unless a test gives another', () => {
    const before = Date.now()
    const now = clock.nowMs()
    assert.ok(now >= before - 3 && now <= Date.now() + 3)
  })
})
