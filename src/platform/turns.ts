/**
 * Long work in slices: one slice in each turn of the event loop, whoever asks. Ten callers with a slice
 * in the same turn would hold up everything else ten times as long.
 */
export class Turns {
  readonly #waiting: (() => void)[] = []

  /** Resolves in a turn of the event loop in which no other slice runs. */
  next(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#waiting.push(resolve) === 1) setImmediate(() => this.#run())
    })
  }

  #run(): void {
    this.#waiting.shift()?.()
    if (this.#waiting.length > 0) setImmediate(() => this.#run())
  }
}
