import { once } from 'node:events'
import type { ClientRequest, IncomingMessage } from 'node:http'
import { HttpFailure, toFailure } from './http-failure.ts'

/** Ends one exchange by its deadline, by the longest silence, or by the caller's signal. */
export class Exchange {
  readonly #signal: AbortSignal | undefined
  readonly #onAbort = () => this.breakOff()
  #timer: NodeJS.Timeout | undefined
  #sent: ClientRequest | undefined
  #why: HttpFailure | undefined
  #began = false

  constructor(timeoutMs: number, signal: AbortSignal | undefined) {
    this.#signal = signal
    signal?.throwIfAborted()
    signal?.addEventListener('abort', this.#onAbort, { once: true })
    const why = () => new HttpFailure('timeout', `did not answer within ${timeoutMs / 1000} s`)
    this.#breakOffIn(timeoutMs, why)
  }

  /** The response, once its headers are there. */
  async run(sent: ClientRequest): Promise<IncomingMessage> {
    this.#sent = sent
    if (this.#why || this.#signal?.aborted) this.breakOff()
    const [response] = (await once(sent, 'response')) as [IncomingMessage]
    this.#began = true
    return response
  }

  /** The headers came in time: from now on there is no deadline but that of each piece. */
  streamed(): void {
    clearTimeout(this.#timer)
  }

  /** Waits for the next piece of a streamed answer, and not forever. */
  async piece<T>(maxSilenceMs: number, next: Promise<T>): Promise<T> {
    const why = () => new HttpFailure('silent', `sent nothing for ${maxSilenceMs / 1000} s`)
    this.#breakOffIn(maxSilenceMs, why)
    return await next.finally(() => clearTimeout(this.#timer))
  }

  breakOff(why?: HttpFailure): void {
    this.#why ??= why
    this.#sent?.destroy(why ?? new Error('broken off'))
  }

  end(): void {
    clearTimeout(this.#timer)
    this.#signal?.removeEventListener('abort', this.#onAbort)
  }

  /** The error to throw for what went wrong: the caller's own reason comes first. */
  failure(error: unknown): unknown {
    if (this.#signal?.aborted) return this.#signal.reason
    return this.#why ?? toFailure(error, this.#began)
  }

  #breakOffIn(ms: number, why: () => HttpFailure): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.breakOff(why()), ms)
  }
}

const tooLarge = (maxBytes: number) =>
  new HttpFailure('too_large', `sent more than ${maxBytes} bytes`)

/** The body of an answer. @throws HttpFailure when it is larger than `maxBytes` */
export async function readWhole(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let size = 0
  // Leaving the loop early closes the connection.
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.byteLength
    if (size > maxBytes) throw tooLarge(maxBytes)
    chunks.push(chunk)
  }
  return chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks, size)
}

/** The body of an answer as it comes, read no faster than it is taken. */
export function streamBody(
  response: IncomingMessage,
  exchange: Exchange,
  maxSilenceMs: number,
): ReadableStream<Uint8Array> {
  exchange.streamed()
  const chunks = (response as AsyncIterable<Buffer>)[Symbol.asyncIterator]()
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const { done, value } = await exchange.piece(maxSilenceMs, chunks.next())
          if (!done) return controller.enqueue(value)
          exchange.end()
          controller.close()
        } catch (error) {
          exchange.end()
          controller.error(exchange.failure(error))
        }
      },
      cancel() {
        exchange.end()
        response.destroy()
      },
    },
    { highWaterMark: 0 },
  )
}
