import type { IncomingMessage } from 'node:http'
import { AppError } from '../core/errors.ts'

export type BodyLimits = {
  /** Maximum size of a body as sent, in bytes. */
  maxBytes: number
  /** Maximum size of a body once decompressed, in bytes. */
  maxDecompressedBytes: number
  /** Maximum time for the body to arrive, in milliseconds. */
  readTimeoutMs: number
}

/** Called once, before more is read than `bytes`. */
export type Grow = { bytes: number; ask: () => Promise<void> }

/**
 * The bytes of a request's body. Straight from Node's stream: what the web's streams put between costs
 * more than the reading.
 *
 * @param grow asked before a body is taken that turns out large; the time that it takes does not count
 * @throws AppError too_large, or unreadable when it is cut off or takes too long; or as `grow`
 */
export function collect(
  request: IncomingMessage,
  limits: BodyLimits,
  grow?: Grow,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks = new Chunks()
    let isGrown = grow === undefined
    let isOver = false
    const onData = (chunk: Buffer) => {
      chunks.add(chunk)
      if (chunks.bytes > limits.maxBytes) fail(tooLarge(limits.maxBytes))
      else if (!isGrown && grow && chunks.bytes > grow.bytes) askFor(grow)
    }
    const askFor = ({ ask }: Grow) => {
      isGrown = true
      clearTimeout(timer)
      request.pause()
      ask().then(() => {
        if (isOver) return
        timer = startTimer()
        request.resume()
      }, fail)
    }
    const onEnd = () => {
      stop()
      resolve(chunks.join())
    }
    const onClose = () => fail(cutOff())
    const fail = (error: Error) => {
      stop()
      reject(error)
    }
    const startTimer = () => setTimeout(() => fail(tooSlow()), limits.readTimeoutMs)
    let timer = startTimer()
    const stop = () => {
      isOver = true
      clearTimeout(timer)
      request.off('data', onData).off('end', onEnd).off('error', onClose).off('close', onClose)
    }
    request.on('data', onData).on('end', onEnd).on('error', onClose).on('close', onClose)
    // One that was cut off before it got here says nothing more.
    if (request.destroyed) onClose()
  })
}

/** A chunk below this is copied: by itself it would take many times its size. */
const [smallChunk, tailBytes] = [2048, 64 * 1024]

const none = Buffer.alloc(0)

/** The bytes of a body, however small the pieces in which they come. */
class Chunks {
  bytes = 0
  readonly #chunks: Buffer[] = []
  #tail: Buffer = none
  #filled = 0

  add(chunk: Buffer): void {
    const isFirst = this.bytes === 0
    this.bytes += chunk.length
    if (isFirst || chunk.length >= smallChunk) {
      this.#endTail()
      this.#chunks.push(chunk)
      return
    }
    if (this.#filled + chunk.length > this.#tail.length) {
      this.#endTail()
      this.#tail = Buffer.allocUnsafeSlow(tailBytes)
    }
    this.#filled += chunk.copy(this.#tail, this.#filled)
  }

  #endTail(): void {
    if (this.#filled > 0) this.#chunks.push(this.#tail.subarray(0, this.#filled))
    this.#tail = this.#tail.subarray(this.#filled)
    this.#filled = 0
  }

  join(): Buffer {
    this.#endTail()
    return this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks)
  }
}

const cutOff = () =>
  new AppError('unreadable', 'the body ended before it was complete; send it again')

const tooSlow = () => new AppError('unreadable', 'the body took too long to arrive')

export const tooLarge = (maxBytes: number) =>
  new AppError('too_large', `the body is over ${maxBytes} bytes; send fewer events per request`)
