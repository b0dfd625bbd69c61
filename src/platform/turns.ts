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

/** Lets in as many at the same time as it has places; the others wait in their order. */
export class Gate {
  #places: number
  readonly #waiting: (() => void)[] = []

  constructor(places: number) {
    this.#places = places
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#places > 0) this.#places--
    else await new Promise<void>((enter) => this.#waiting.push(enter))
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#places++
    }
  }
}
