import { type Answer, Connection } from './connection.ts'

/** Connections for requests that come by the clock: one that finds all of them busy waits, and its wait counts. */
export class Pool {
  readonly #all: readonly Connection[]
  readonly #free: Connection[]
  readonly #waiting: ((connection: Connection) => void)[] = []

  private constructor(all: readonly Connection[]) {
    this.#all = all
    this.#free = [...all]
  }

  static async open(url: string, count: number): Promise<Pool> {
    return new Pool(await Promise.all(Array.from({ length: count }, () => Connection.open(url))))
  }

  async post(path: string, json: string): Promise<Answer> {
    const connection =
      this.#free.pop() ?? (await new Promise<Connection>((done) => this.#waiting.push(done)))
    const answer = await connection.post(path, json)
    const next = this.#waiting.shift()
    if (next) next(connection)
    else this.#free.push(connection)
    return answer
  }

  close(): void {
    for (const connection of this.#all) connection.close()
  }
}
