import type { Admitted, Verdict } from '../core/admission.ts'
import { ensure, must } from '../core/must.ts'

type Waiting = {
  items: readonly Admitted[]
  resolve: (verdicts: Verdict[]) => void
  reject: (error: unknown) => void
}

/** Makes groups of events durable in one commit. @returns their verdicts, in order */
type Write = (groups: readonly (readonly Admitted[])[]) => Verdict[][]

/** Gathers what is appended in one turn of the event loop. It is answered after its commit. */
export class AppendQueue {
  readonly #write: Write
  #waiting: Waiting[] = []

  constructor(write: Write) {
    this.#write = write
  }

  add(items: readonly Admitted[]): Promise<Verdict[]> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ items, resolve, reject }) === 1) setImmediate(() => this.flush())
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
