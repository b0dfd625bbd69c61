/** Work that is done one after the other. */
export class Lane {
  #last: Promise<unknown> = Promise.resolve()

  /** Runs the work once all that was given before has ended, however it ended. */
  run<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#last.then(work, work)
    this.#last = turn.catch(() => {})
    return turn
  }
}
