/** Most that may wait for one browser, in bytes; a slower one is cut and comes back by itself. */
const mostWaiting = 256 * 1024

export type PushOptions = {
  /** Called once when the browser is gone, was cut, or the role stops. */
  onEnd: (why: 'gone' | 'slow' | 'stopping') => void
}

/**
 * Server-sent events to one browser. Nothing is kept for one that does not read: beyond a bound it
 * is cut off, and takes up again from the last id that it saw.
 */
export class Push {
  readonly body: ReadableStream<Uint8Array>
  readonly #onEnd: PushOptions['onEnd']
  readonly #encoder = new TextEncoder()
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined

  constructor({ onEnd }: PushOptions) {
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
    this.#send(messageOf({ data: content, id }))
  }

  /** Sends a word on which parts of the page ask for themselves anew. */
  signal(event: string, id?: string): void {
    this.#send(messageOf({ event, data: '1', id }))
  }

  end(why: 'gone' | 'slow' | 'stopping'): void {
    const controller = this.#controller
    this.#ended(why)
    try {
      controller?.close()
    } catch {
      // The browser went first.
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

/** One message; a line of data per line of content. */
export function messageOf({
  event,
  data,
  id,
}: {
  event?: string
  data: string
  id?: string | undefined
}): string {
  const lines = data.split(/\r\n|\r|\n/).map((line) => `data: ${line}\n`)
  const head =
    (id === undefined ? '' : `id: ${id}\n`) + (event === undefined ? '' : `event: ${event}\n`)
  return `${head}${lines.join('')}\n`
}
