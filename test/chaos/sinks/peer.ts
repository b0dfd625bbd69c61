import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { setTimeout as wait } from 'node:timers/promises'
import { type PeerGiven, type PeerState, startPeer } from './peer-state.ts'
import type { Seen } from './seen.ts'

/* A peer (peer-state.ts) that speaks HTTP. */

export type Request = { method: string; path: string; headers: IncomingHttpHeaders; body: Buffer }
/** `headers`: in the place of those that all answers have. */
export type Reply = { status: number; body?: unknown; headers?: Record<string, string> }

export type Protocol = {
  /** True for a request with events, or with what else is committed. */
  isEvents(request: Omit<Request, 'body'>): boolean
  /** Headers of its answers; that they are JSON, unless given. */
  headers?: Record<string, string>
  /** An answer to a request that no one is to blame for: something has to be made first. */
  before?(request: Request): Reply | undefined
  /** @throws when its reader would not believe the request */
  read(request: Request): Seen[]
  /** Commits what else is in it. @returns called once it is answered */
  commit?(request: Request): (() => void) | undefined
  /** Answer to any other request. */
  other(request: Request): Reply
  /** Answer to events, some of which were taken; repeats are `known`. */
  answer(events: readonly Seen[], taken: readonly boolean[], known: readonly boolean[]): Reply
  /** Which events it takes when it does not take half of them; unless given, every second one. */
  takesHalf?(count: number, turn: number): boolean[]
  /** A 413 where it has one. */
  tooLarge(events: readonly Seen[]): Reply | undefined
  /** Answers of 200 that are none; pages and JSON of others, unless given. */
  garbage?(request: Request): readonly Reply[]
  /** Any 200 means that the events were taken, whatever is in it. */
  takesBy200?: boolean
}

const retryAfterS = 2

const json = { 'content-type': 'application/json' }

/** What is no answer in any protocol. */
export const pages: readonly (string | Buffer)[] = [
  '<h1>Welcome</h1>',
  'null',
  '{"items":'.repeat(50_000),
  Buffer.from('{"items":[]}', 'utf16le'),
]

const garbage: readonly Reply[] = [
  ...pages,
  '{"total":1000000,"success":1000000,"failed":0,"rejected":[],"items":[]}',
].map((body) => ({ status: 200, body }))

const takesEverySecond = (count: number, turn: number) =>
  Array.from({ length: count }, (_, i) => i % 2 === turn)

class Peer {
  readonly #protocol: Protocol
  readonly #state: PeerState
  /** When it last said to come later, and in which of its moods. */
  #refused: { ms: number; told: number } | undefined

  constructor(protocol: Protocol, state: PeerState) {
    this.#protocol = protocol
    this.#state = state
  }

  async serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url: path = '', headers } = incoming
    const state = this.#state
    const isEvents = this.#protocol.isEvents({ method, path, headers })
    if (isEvents && state.fault === 'reset' && state.hits % 2 === 0) {
      state.hits++
      incoming.once('data', () => incoming.socket.resetAndDestroy())
      return
    }
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk as Buffer)
    const request = { method, path, headers, body: Buffer.concat(chunks) }
    try {
      const first = isEvents ? this.#protocol.before?.(request) : this.#protocol.other(request)
      if (first) return this.#send(response, first)
      await this.#take(request, this.#protocol.read(request), response)
    } catch (error) {
      state.complain(`a request that its reader does not believe: ${(error as Error).message}`)
      this.#send(response, { status: 400 })
    }
  }

  async #take(request: Request, events: readonly Seen[], response: ServerResponse): Promise<void> {
    const state = this.#state
    const { fault } = state
    this.#checkPatience()
    const tooLarge = fault === '413' ? this.#protocol.tooLarge(events) : undefined
    const isWrong = fault === '413' ? tooLarge : fault === 'half' ? events.length > 0 : fault
    if (isWrong) state.hits++
    if (tooLarge) return this.#send(response, tooLarge)
    if (fault === '500') return this.#send(response, { status: 500, body: 'planted' })
    if (fault === '429') {
      this.#refused = { ms: performance.now(), told: state.told }
      return this.#send(response, { status: 429 }, { 'retry-after': `${retryAfterS}` })
    }
    if (fault === 'garbage') return this.#sendGarbage(request, events, response)
    // One that hangs has taken the events, or not.
    if (fault === 'silence' && state.hits % 2 === 1) return
    const { takesHalf = takesEverySecond } = this.#protocol
    const taken =
      fault === 'half' ? takesHalf(events.length, state.hits % 2) : events.map(() => true)
    const known = events.map(({ id }) => state.knows(id))
    state.commit(events.filter((_, i) => taken[i]))
    const onAnswered = this.#protocol.commit?.(request)
    if (fault === 'silence') return
    if (fault === 'lost answer') return void response.destroy()
    if (fault === 'slow') await wait(40)
    if (fault === 'reset') {
      response.writeHead(200, { 'content-length': '1000' }).write('{"total"')
      return void setImmediate(() => response.socket?.resetAndDestroy())
    }
    if (onAnswered) response.once('finish', onAnswered)
    this.#send(response, this.#protocol.answer(events, taken, known))
  }

  #checkPatience(): void {
    const { ms, told } = this.#refused ?? { ms: 0, told: -1 }
    this.#refused = undefined
    if (told !== this.#state.told) return
    const sinceMs = performance.now() - ms
    // Another batch may have been under way: that is not early.
    if (sinceMs <= 1000 || sinceMs >= retryAfterS * 1000 - 100) return
    const early = `a request ${Math.round(sinceMs)} ms after a Retry-After of ${retryAfterS} s`
    this.#state.complain(early)
  }

  #sendGarbage(request: Request, events: readonly Seen[], response: ServerResponse): void {
    if (this.#protocol.takesBy200) this.#state.commit(events)
    const list = this.#protocol.garbage?.(request) ?? garbage
    const reply = list[this.#state.hits % list.length]
    if (reply) this.#send(response, reply)
  }

  #send(response: ServerResponse, { status, body = '', headers }: Reply, more = {}): void {
    response.writeHead(status, { ...(headers ?? this.#protocol.headers ?? json), ...more })
    const isRaw = typeof body === 'string' || body instanceof Buffer
    response.end(isRaw ? body : JSON.stringify(body))
  }
}

/** Serves until the parent process is gone. @param toProtocol given the options of the column */
export function runPeer<Options>(toProtocol: (given: PeerGiven<Options>) => Protocol): void {
  startPeer<Options>((state, given) => {
    const peer = new Peer(toProtocol(given), state)
    return createServer((request, response) => {
      // A caller that was killed in the middle of its request.
      peer.serve(request, response).catch(() => response.destroy())
    })
  })
}
