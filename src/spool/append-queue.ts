import type { Admitted, Verdict } from '../core/admission.ts'
import { ensure, must } from '../core/must.ts'

type Waiting = {
  items: readonly Admitted[]
  resolve: (verdicts: Verdict[]) => void
  reject: (error: unknown) => void
}

/** Makes groups of events durable in one commit. @returns their verdicts, in order */
type Write = (groups: readonly (readonly Admitted[])[]) => Verdict[][]

/** Waiting for more than this would be felt, in milliseconds. */
const longestWaitMs = 10

/**
 * Gathers what is appended until a turn of the event loop brings nothing more. It is answered after
 * its commit. Callers that wait for the same commit ask again soon after one another, so without the
 * second look a commit would hold half of what it can.
 */
export class AppendQueue {
  readonly #write: Write
  #waiting: Waiting[] = []
  #since = 0

  constructor(write: Write) {
    this.#write = write
  }

  add(items: readonly Admitted[]): Promise<Verdict[]> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ items, resolve, reject }) > 1) return
      this.#since = performance.now()
      this.#flushSoon(0)
    })
  }

  /** @param seen how many waited a turn ago */
  #flushSoon(seen: number): void {
    setImmediate(() => {
      const { length } = this.#waiting
      const more = length > seen && performance.now() - this.#since < longestWaitMs
      if (more) this.#flushSoon(length)
      else this.flush()
    })
  }

  flush(): void {
    const waiting = this.#waiting
    this.#waiting = []
    if (waiting.length === 0) return
    try {
      const verdicts = this.#write(waiting.map(({ items }) => items))
      ensure(verdicts.length === waiting.length, 'a commit gives verdicts for each group')
      for (const [i, { resolve }] of waiting.entries()) {
        resolve(must(verdicts[i], 'a commit gives verdicts for each group'))
      }
    } catch (error) {
      for (const { reject } of waiting) reject(error)
    }
  }
}
