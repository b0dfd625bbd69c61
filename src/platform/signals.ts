import { constants } from 'node:os'

/**
 * npm and npx forward Ctrl-C to a program that got it from the terminal already, so one keypress
 * arrives twice. The same signal within this time is that echo; a person is slower.
 */
const echoMs = 1000

type Name = 'SIGTERM' | 'SIGINT'

/**
 * Stops on SIGTERM or SIGINT. On a second one the process ends immediately, with the exit code that a
 * shell gives for the signal: the operator does not want to wait.
 *
 * @param beforeExit called before that immediate end; must not wait
 */
export function onSignals(stop: (signal: Name) => void, beforeExit: () => void = () => {}): void {
  let first: { signal: Name; at: number } | undefined
  const receive = (signal: Name) => {
    if (!first) {
      first = { signal, at: performance.now() }
      return stop(signal)
    }
    if (signal === first.signal && performance.now() - first.at < echoMs) return
    beforeExit()
    process.exit(128 + constants.signals[signal])
  }
  process.on('SIGTERM', receive)
  process.on('SIGINT', receive)
}
