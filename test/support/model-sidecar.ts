import assert from 'node:assert/strict'
import type { Event } from '../../src/core/event.ts'
import { readEvent } from '../../src/core/read-event.ts'
import { StartTimes } from '../../src/core/start-times.ts'

const limits = { maxEventBytes: 65_536, maxSkewS: 600 }

/**
 * What a sidecar makes of events, without its disk: its own door and its own memory of starts. It
 * takes each event once, and forwards repeats as another sidecar would.
 */
export class ModelSidecar {
  readonly #size: number
  readonly #known = new Set<string>()
  #times: StartTimes

  /** @param size how many jobs it remembers, and never twice as many */
  constructor(size: number) {
    this.#size = size
    this.#times = new StartTimes(size)
  }

  /** Keeps the spool and loses the memory. */
  restart(): void {
    this.#times = new StartTimes(this.#size)
  }

  /** Takes one request. @returns the events as they are delivered */
  forward(request: readonly Event[], receivedAt: string): Event[] {
    const reads = request.map(({ received_at, ...input }) =>
      readEvent(input, { receivedAt, startOf: (entity) => this.#times.startOf(entity) }, limits),
    )
    return reads.map((read) => {
      assert.ok(read.ok, JSON.stringify(read))
      const { event } = read
      const identity = event.event.at + event.idempotency_key
      if (!this.#known.has(identity)) this.#times.see(event)
      this.#known.add(identity)
      return JSON.parse(read.json) as Event
    })
  }
}
