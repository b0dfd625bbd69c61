export type PushBodyOptions = {
  /** Maximum bytes that wait for the reader; one that lets more wait is cut off. */
  maxWaiting: number
  /** Called once, when the reader disconnected, was cut off as too slow, or was ended. */
  onEnd: (why: 'gone' | 'slow' | 'over') => void
}

/** A reader is written more of a backlog once fewer bytes than this wait for it. */
const lowWater = 64 * 1024

/**
 * The body of an answer that the server writes when it likes, not when the reader asks for more.
 *
 *  - What waits for the reader is bounded. The bytes are not copied: readers that are sent the same
 *    piece wait on the same memory.
 *  - `room` is for a writer that has a backlog: it waits for the reader.
 */
export class PushBody {
  readonly body: ReadableStream<Uint8Array>
  readonly #options: PushBodyOptions
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #written = 0
  #room: (() => void) | undefined
  #stalled = { taken: 0, since: performance.now() }

  constructor(options: PushBodyOptions) {
    this.#options = options
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
        },
        pull: () => {
          if (this.waiting < lowWater) this.#room?.()
        },
        cancel: () => this.#ended('gone'),
      },
      new ByteLengthQueuingStrategy({ highWaterMark: options.maxWaiting }),
    )
  }

  get open(): boolean {
    return this.#controller !== undefined
  }

  /** Bytes that were written and not taken yet. */
  get waiting(): number {
    return this.#controller ? this.#options.maxWaiting - (this.#controller.desiredSize ?? 0) : 0
  }

  write(bytes: Uint8Array): void {
    if (!this.#controller) return
    // A piece alone is never too much: its size is bounded where it is made.
    if (this.waiting > 0 && this.waiting + bytes.byteLength > this.#options.maxWaiting) {
      this.end('slow')
      return
    }
    this.#written += bytes.byteLength
    this.#controller.enqueue(bytes)
  }

  /** Resolves once little waits for the reader, or none is left. */
  async room(): Promise<void> {
    while (this.open && this.waiting >= lowWater) {
      await new Promise<void>((resolve) => {
        this.#room = resolve
      })
    }
  }

  /** Cuts the reader off when it has taken nothing for `stallMs` although something waits for it. */
  endIfStalled(stallMs: number): void {
    const taken = this.#written - this.waiting
    const now = performance.now()
    if (this.waiting === 0 || taken > this.#stalled.taken) this.#stalled = { taken, since: now }
    else if (now - this.#stalled.since >= stallMs) this.end('slow')
  }

  end(why: 'slow' | 'over'): void {
    const controller = this.#controller
    this.#ended(why)
    try {
      controller?.close()
    } catch {
      // The reader disconnected first.
    }
  }

  #ended(why: 'gone' | 'slow' | 'over'): void {
    if (!this.#controller) return
    this.#controller = undefined
    this.#room?.()
    this.#options.onEnd(why)
  }
}
