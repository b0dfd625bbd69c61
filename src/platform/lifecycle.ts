import type { Logger } from 'pino'
import { onSignals } from './signals.ts'

type Closer = { name: string; close: () => unknown }

/**
 * Things to close, in the reverse of the order they were opened.
 * Whatever opens a resource hands its closing to the same list on the next line.
 */
export class Lifecycle {
  readonly #closers: Closer[] = []
  readonly #abort = new AbortController()
  readonly #log: Logger
  readonly #onForcedEnd: (() => void)[] = []
  #stopping: Promise<void> | undefined

  constructor(log: Logger) {
    this.#log = log
  }

  /** Aborts when stopping begins. Long-running loops watch this. */
  get signal(): AbortSignal {
    return this.#abort.signal
  }

  /** What is opened while everything is being closed already is closed at once. */
  onStop(name: string, close: () => unknown): void {
    if (this.#stopping) void this.#closeLate({ name, close })
    else this.#closers.push({ name, close })
  }

  async #closeLate({ name, close }: Closer): Promise<void> {
    try {
      await close()
    } catch (error) {
      this.#log.error({ error, resource: name }, 'could not close cleanly')
    }
  }

  /** Runs when a second signal ends the process immediately; must not wait for anything. */
  onForcedEnd(act: () => void): void {
    this.#onForcedEnd.push(act)
  }

  /**
   * Stops on SIGTERM, on SIGINT, and when the process that started this one goes away (its IPC
   * channel closes, even by kill -9). A second signal ends the process immediately.
   */
  stopOnSignal(timeoutS: number): void {
    onSignals(
      (signal) => this.#begin(signal, timeoutS),
      () => {
        for (const act of this.#onForcedEnd) act()
      },
    )
    if (process.channel) process.once('disconnect', () => this.#begin('disconnect', timeoutS))
  }

  #begin(why: string, timeoutS: number): void {
    // Our own disconnect at the end of a stop is expected.
    if (this.#stopping) return
    this.#log.info({ why }, 'stopping')
    void this.stop(timeoutS)
  }

  /** Closes everything within `timeoutS` seconds; what does not close in time is logged and left. */
  stop(timeoutS: number): Promise<void> {
    this.#stopping ??= this.#closeAll(timeoutS)
    return this.#stopping
  }

  async #closeAll(timeoutS: number): Promise<void> {
    this.#abort.abort(new Error('stopping'))
    const deadline = AbortSignal.timeout(timeoutS * 1000)
    for (const { name, close } of this.#closers.splice(0).reverse()) {
      // One stuck resource must not keep the others open.
      try {
        await Promise.race([close(), rejectWhen(deadline, `closing ${name} took too long`)])
      } catch (error) {
        this.#log.error({ error, resource: name }, 'could not close cleanly')
        process.exitCode = 1
      }
    }
    this.#log.info('stopped')
    // Nothing we opened is open now; the channel to the parent is the last handle.
    if (process.channel) process.disconnect?.()
  }
}

function rejectWhen(signal: AbortSignal, reason: string): Promise<never> {
  return new Promise((_, reject) => {
    if (signal.aborted) return reject(new Error(reason))
    signal.addEventListener('abort', () => reject(new Error(reason)), { once: true })
  })
}
