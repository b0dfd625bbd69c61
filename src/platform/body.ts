import { isAscii } from 'node:buffer'
import type { IncomingMessage } from 'node:http'
import { AppError } from '../core/errors.ts'
import { toNetwork } from './address.ts'
import type { Caller } from './auth.ts'
import { ByteBudget, noRoom, type Room } from './byte-budget.ts'
import { type BodyLimits, collect, tooLarge } from './collect.ts'
import { toPacked } from './unpack.ts'
import { tooLargeUnpacked } from './zstd-frames.ts'

/** A body as text, and the room that it takes until `done` is called. */
export type Body = { text: string; done: () => void }

/** Bodies up to this size are not counted: connections bound their number. */
const smallBytes = 64 * 1024
/** What is made of a body, a part of it at a time; see `partBytes` of api/read-batch.ts. */
const maxPartBytes = 2 * 2 ** 20
/** Bytes of memory for a byte of JSON, at most: `{},` makes an object. */
const bytesOfTree = 16

/**
 * Takes in the bodies of a role under two budgets of bytes: one for what arrives, as it was declared,
 * and one for what is unpacked and parsed. Nothing waits for the first while it holds of the second. A
 * caller has half of each, so that one never takes it all: by its token, or by its address without one.
 */
export class Intake {
  readonly #limits: BodyLimits
  readonly #arriving: ByteBudget
  readonly #working: ByteBudget

  constructor(limits: BodyLimits) {
    this.#limits = limits
    this.#arriving = toBudget(16 * limits.maxBytes, limits)
    this.#working = toBudget(4 * weigh(limits.maxDecompressedBytes), limits)
  }

  /** Bytes in use: of bodies that arrive, and of those that are unpacked and parsed. */
  state(): { arriving: number; working: number; waiting: number } {
    const [arriving, working] = [this.#arriving.state(), this.#working.state()]
    return {
      arriving: arriving.used,
      working: working.used,
      waiting: arriving.waiting + working.waiting,
    }
  }

  /**
   * Reads a request's body as text: collected under a size and a time limit, decompressed (gzip,
   * zstd) under a limit of its own, and decoded as strict UTF-8.
   *
   * @throws AppError too_large, unsupported_encoding, unreadable, or overloaded
   */
  async read(request: IncomingMessage, caller: Caller): Promise<Body> {
    const { maxBytes } = this.#limits
    const from = { request, caller }
    const encoding = (request.headers['content-encoding'] ?? 'identity').trim().toLowerCase()
    if (!encodings.has(encoding)) {
      throw new AppError(
        'unsupported_encoding',
        'Content-Encoding must be gzip, zstd or identity; send the body in one of them',
        { field: 'content-encoding' },
      )
    }
    const length = request.headers['content-length']
    const declared = Number(length ?? 0)
    if (declared > maxBytes) throw tooLarge(maxBytes)
    if (length !== undefined && declared <= smallBytes && encoding === 'identity') {
      return toBody(await collect(request, this.#limits), noRoom)
    }
    const arriving = new Held()
    const hold = async (bytes: number) => arriving.set(await takeRoom(this.#arriving, bytes, from))
    try {
      if (declared > smallBytes) await hold(declared)
      // Without a length it may be anything, and only then it matters what.
      const grow = { bytes: smallBytes, ask: () => hold(maxBytes) }
      const raw = await collect(request, this.#limits, length === undefined ? grow : undefined)
      if (encoding !== 'identity') return await this.#unpack(raw, encoding, from)
      return toBody(raw, await this.#takeWork(raw.length, from))
    } finally {
      arriving.give()
    }
  }

  async #unpack(raw: Buffer, encoding: string, from: From): Promise<Body> {
    const { maxDecompressedBytes } = this.#limits
    const packed = toPacked(raw, encoding, maxDecompressedBytes)
    // An event or a few, which are most of them, wait for nobody.
    const most = Math.min(smallBytes, maxDecompressedBytes)
    const small = raw.length <= most ? await packed.unpack(most) : undefined
    if (small) return toBody(small, noRoom)
    const working = await this.#takeWork(packed.most, from)
    try {
      const bytes = await packed.unpack(maxDecompressedBytes)
      if (!bytes) throw tooLargeUnpacked(maxDecompressedBytes)
      working.shrink(weigh(bytes.length))
      return toBody(bytes, working)
    } catch (error) {
      working.give()
      throw error
    }
  }

  async #takeWork(bytes: number, from: From): Promise<Room> {
    return bytes <= smallBytes ? noRoom : takeRoom(this.#working, weigh(bytes), from)
  }
}

/** Room that may be granted after it is no longer wanted. */
class Held {
  #room: Room = noRoom
  #isOver = false

  set(room: Room): void {
    this.#room = room
    if (this.#isOver) room.give()
  }

  give(): void {
    this.#isOver = true
    this.#room.give()
  }
}

const encodings: ReadonlySet<string> = new Set(['identity', 'gzip', 'x-gzip', 'zstd'])

const toBudget = (total: number, { readTimeoutMs }: BodyLimits) =>
  new ByteBudget({ total, share: total / 2, waitMs: readTimeoutMs })

/** Bytes of memory that a text takes at most until it is done: itself, and a part of it parsed. */
const weigh = (bytes: number) => 2 * bytes + bytesOfTree * Math.min(bytes, maxPartBytes)

type From = { request: IncomingMessage; caller: Caller }

async function takeRoom(
  budget: ByteBudget,
  bytes: number,
  { request, caller }: From,
): Promise<Room> {
  const gone = new AbortController()
  const leave = () => gone.abort()
  // Not of the request, which closes when its body was read.
  request.socket.once('close', leave)
  try {
    return await budget.take(nameCallerOf(request, caller), bytes, gone.signal)
  } finally {
    request.socket.off('close', leave)
  }
}

/**
 * Whose share of a budget a request uses: one token is one caller, from wherever it comes; all others are told
 * apart by their addresses.
 */
export const nameCallerOf = ({ socket }: IncomingMessage, { token }: Caller): string =>
  token ? `token ${token.hash.toString('base64')}` : toNetwork(socket.remoteAddress ?? '')

function toBody(raw: Buffer, working: Room): Body {
  try {
    return { text: decode(raw), done: working.give }
  } catch (error) {
    working.give()
    throw error
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

function decode(bytes: Buffer): string {
  // Nearly every body is, and then neither a check nor two-byte text is needed.
  if (isAscii(bytes)) return bytes.toString('latin1')
  try {
    return utf8.decode(bytes)
  } catch {
    throw new AppError('unreadable', 'the body is not UTF-8; encode the JSON as UTF-8')
  }
}
