import { constants } from 'node:os'

/**
 * npm and npx pass Ctrl-C on to a program that the terminal has told already, so one wish arrives
 * twice. The same signal again within this time is that echo; a person is slower.
 */
const echoMs = 1000

type Name = 'SIGTERM' | 'SIGINT'

/**
 * Stops on SIGTERM or SIGINT. An operator who sends another one does not want to wait: then the
 * process ends immediately, with the code that a shell gives for the signal.
 *
 * @param atOnce what must still be done then; nothing that waits
 */
export function onSignals(stop: (signal: Name) => void, atOnce: () => void = () => {}): void {
  let first: { signal: Name; at: number } | undefined
  const receive = (signal: Name) => {
    if (!first) {
      first = { signal, at: performance.now() }
      return stop(signal)
    }
    if (signal === first.signal && performance.now() - first.at < echoMs) return
    atOnce()
    process.exit(128 + constants.signals[signal])
  }
  process.on('SIGTERM', receive)
  process.on('SIGINT', receive)
}
