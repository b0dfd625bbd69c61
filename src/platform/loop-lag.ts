import type { Metrics } from './metrics.ts'

const everyMs = 100

/**
 * Measures how late the event loop is, ten times a second, until the signal aborts. While it is late
 * the role answers no caller.
 */
export function watchLoopLag({ loopLag }: Metrics, signal: AbortSignal): void {
  let due = performance.now() + everyMs
  const timer = setInterval(() => {
    const now = performance.now()
    loopLag.observe(Math.max(0, now - due) / 1000)
    due = now + everyMs
  }, everyMs).unref()
  signal.addEventListener('abort', () => clearInterval(timer))
}
