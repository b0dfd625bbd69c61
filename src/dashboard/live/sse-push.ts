import { formatSse } from '../../platform/sse.ts'

/** Maximum bytes that wait for one browser; a slower one is cut off and reconnects by itself. */
const mostWaiting = 256 * 1024

export type SsePushOptions = {
  /** Called once when the browser disconnected, was cut off, or the role stops. */
  onEnd: (why: 'gone' | 'slow' | 'stopping') => void
}

/**
 * Server-sent events to one browser. A browser that does not read is cut off at a limit, and resumes
 * after the last id that it saw.
 */
export class SsePush {
  readonly body: ReadableStream<Uint8Array>
  readonly #onEnd: SsePushOptions['onEnd']
  readonly #encoder = new TextEncoder()
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined

  constructor({ onEnd }: SsePushOptions) {
    this.#onEnd = onEnd
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        cancel: () => this.#ended('gone'),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: mostWaiting }),
    )
  }

  get open(): boolean {
    return this.#controller !== undefined
  }

  /** Sends HTML that replaces parts of the page by their ids. */
  swap(content: string, id?: string): void {
    this.#send(formatSse({ data: content, id }))
  }

  /** Sends an event on which parts of the page reload. */
  signal(event: string, id?: string): void {
    this.#send(formatSse({ event, data: '1', id }))
  }

  end(why: 'gone' | 'slow' | 'stopping'): void {
    const controller = this.#controller
    this.#ended(why)
    try {
      controller?.close()
    } catch {
      // The browser disconnected first.
    }
  }

  #send(text: string): void {
    const controller = this.#controller
    if (!controller) return
    const bytes = this.#encoder.encode(text)
    if ((controller.desiredSize ?? 0) < bytes.byteLength) this.end('slow')
    else controller.enqueue(bytes)
  }

  #ended(why: 'gone' | 'slow' | 'stopping'): void {
    if (!this.#controller) return
    this.#controller = undefined
    this.#onEnd(why)
  }
}
