import assert from 'node:assert/strict'
import { beforeEach, describe, type TestContext, test } from 'node:test'
import { onSignals } from '../../src/platform/signals.ts'

/** Listens with a clock and an exit of our own; `send` is what the system would do. */
function listen(t: TestContext) {
  const seen: string[] = []
  let now = 5000
  t.mock.method(performance, 'now', () => now)
  t.mock.method(process, 'exit', (code: number) => seen.push(`exit ${code}`))
  onSignals(
    (signal) => seen.push(`stop ${signal}`),
    () => seen.push('immediately'),
  )
  const send = (signal: NodeJS.Signals, afterMs: number) => {
    now += afterMs
    process.emit(signal, signal)
  }
  return { seen, send }
}

describe('signals', () => {
  beforeEach(() => {
    process.removeAllListeners('SIGTERM')
    process.removeAllListeners('SIGINT')
  })

  test('stop once, although npm repeats the signal of the terminal', (t) => {
    const { seen, send } = listen(t)
    send('SIGINT', 0)
    send('SIGINT', 3)
    assert.deepEqual(seen, ['stop SIGINT'])
  })

  test('end immediately when the operator asks again', (t) => {
    const { seen, send } = listen(t)
    send('SIGINT', 0)
    send('SIGINT', 1001)
    assert.deepEqual(seen, ['stop SIGINT', 'immediately', 'exit 130'])
  })

  test('end immediately when another signal follows, however soon', (t) => {
    const { seen, send } = listen(t)
    send('SIGINT', 0)
    send('SIGTERM', 1)
    assert.deepEqual(seen, ['stop SIGINT', 'immediately', 'exit 143'])
  })
})
