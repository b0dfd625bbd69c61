/** Rows of a question that is asked for some at a time, each with the last one before. */
export class Ahead<Row> {
  readonly #ask: (after: Row | undefined, limit: number) => Promise<Row[]>
  #rows: Row[] = []
  #last: Row | undefined
  #isOver = false

  constructor(ask: (after: Row | undefined, limit: number) => Promise<Row[]>) {
    this.#ask = ask
  }

  /** The next row for which `isDone` is false; undefined when there are no others. */
  async peek(isDone: (row: Row) => boolean): Promise<Row | undefined> {
    for (;;) {
      const next = this.#rows.findIndex((row) => !isDone(row))
      if (next >= 0) {
        this.#rows.splice(0, next)
        return this.#rows[0]
      }
      if (this.#isOver) return undefined
      this.#rows = await this.#ask(this.#last, atATime)
      this.#last = this.#rows.at(-1)
      this.#isOver = this.#rows.length < atATime
    }
  }
}

const atATime = 200
