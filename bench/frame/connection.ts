import { once } from 'node:events'
import { connect, type Socket } from 'node:net'

/*
 * A client that costs next to nothing, because it shares the machine with what is measured: one
 * request at a time on one connection, and no more of HTTP than our servers answer with.
 */

/** The body is decoded when it is first asked for. */
export type Answer = { status: number; readonly body: string }

export class Connection {
  readonly #url: URL
  #socket: Socket | undefined
  #received: Buffer[] = []
  #size = 0
  #done: ((answer: Answer) => void) | undefined
  #failed: ((error: Error) => void) | undefined

  private constructor(url: string) {
    this.#url = new URL(url)
  }

  static async open(url: string): Promise<Connection> {
    const connection = new Connection(url)
    await connection.#connected()
    return connection
  }

  /** A server closes a connection on which nothing came for a minute, as while other sides take turns. */
  async #connected(): Promise<Socket> {
    if (this.#socket && !this.#socket.destroyed && this.#socket.writable) return this.#socket
    const { hostname: host, port } = this.#url
    const socket = connect({ host, port: Number(port), noDelay: true })
    await once(socket, 'connect')
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('close', () => this.#failed?.(new Error('the server closed the connection')))
    socket.on('error', (error) => this.#failed?.(error))
    this.#socket = socket
    return socket
  }

  get(path: string): Promise<Answer> {
    return this.#ask(`GET ${path} HTTP/1.1\r\nhost: ${this.#url.host}\r\n\r\n`)
  }

  post(path: string, json: string): Promise<Answer> {
    const length = Buffer.byteLength(json)
    return this.#ask(
      `POST ${path} HTTP/1.1\r\nhost: ${this.#url.host}\r\ncontent-type: application/json\r\ncontent-length: ${length}\r\n\r\n${json}`,
    )
  }

  close(): void {
    this.#failed = undefined
    this.#socket?.destroy()
  }

  async #ask(request: string): Promise<Answer> {
    const socket = await this.#connected()
    return new Promise((resolve, reject) => {
      this.#done = resolve
      this.#failed = reject
      socket.write(request)
    })
  }

  #take(chunk: Buffer): void {
    this.#received.push(chunk)
    this.#size += chunk.length
    const answer = this.#parse()
    if (!answer) return
    this.#received = []
    this.#size = 0
    this.#done?.(answer)
  }

  #parse(): Answer | undefined {
    const first = this.#received[0]!
    const end = first.indexOf('\r\n\r\n')
    // Our heads come in one piece; should one not, join and look again.
    if (end < 0) {
      this.#received = [Buffer.concat(this.#received)]
      if (!this.#received[0]!.includes('\r\n\r\n')) return undefined
      return this.#parse()
    }
    const head = first.toString('latin1', 0, end)
    const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
    if (length === undefined) throw new Error(`an answer without content-length: ${head}`)
    if (this.#size < end + 4 + Number(length)) return undefined
    const received = this.#received
    return {
      status: Number(head.slice(9, 12)),
      get body() {
        return Buffer.concat(received).toString('utf8', end + 4)
      },
    }
  }
}

/**
 * Asks over and over on each of `connections`, until `seconds` are over or there is nothing more to
 * do; what is under way then is waited for and counted, with its time.
 *
 * @param ask makes one request; @returns how much it brought, undefined when nothing is left
 * @returns how much a second
 */
export async function hammer(
  connections: readonly Connection[],
  seconds: number,
  ask: (connection: Connection) => Promise<number | undefined>,
): Promise<number> {
  let done = 0
  const begin = performance.now()
  const end = begin + seconds * 1000
  const work = async (connection: Connection) => {
    while (performance.now() < end) {
      const brought = await ask(connection)
      if (brought === undefined) return
      done += brought
    }
  }
  await Promise.all(connections.map(work))
  return (done / (performance.now() - begin)) * 1000
}

/** @throws unless the answer is 200 */
export function expectOk(answer: Answer): Answer {
  if (answer.status !== 200) throw new Error(`${answer.status}: ${answer.body.slice(0, 300)}`)
  return answer
}
