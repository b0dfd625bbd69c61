import { setTimeout as wait } from 'node:timers/promises'
import type { SseMessage } from '../../src/platform/sse.ts'
import { type FollowerOptions, SiteFollower } from '../../src/sites/site-follower.ts'

/** The live stream of a site that keeps its events, as a store does. The n-th event has the id n. */
export class LiveSite {
  readonly id: string
  readonly follower: SiteFollower
  readonly said: string[] = []
  /** The position with which each connection was opened. */
  readonly resumed: (string | undefined)[] = []
  /** Connections that are open. */
  open = 0
  /** Breaks every connection. */
  down = false
  /** Events before this one are gone. */
  oldest = 0
  /** Counts the heartbeats; one more is sent on every connection when it rises. */
  beats = 0

  constructor(id = 'fab1', options: Partial<FollowerOptions> = {}) {
    this.id = id
    this.follower = new SiteFollower({ reader: this.reader, firstMs: 5, maxMs: 10, ...options })
  }

  /** The position that the next heartbeats of a connection without events tell. */
  #at = ''

  /** Sends a heartbeat that tells a position, as a store does that knows it. */
  at(position: number): void {
    this.#at = String(position)
    this.beats++
  }

  say(key: string): void {
    this.said.push(key)
  }

  readonly reader = {
    follow: (lastEventId: string | undefined, signal: AbortSignal) =>
      this.#follow(lastEventId, signal),
  }

  async *#follow(last: string | undefined, signal: AbortSignal): AsyncGenerator<SseMessage> {
    this.resumed.push(last)
    const check = () => {
      if (this.down) throw new Error(`${this.id} is away`)
    }
    this.open++
    try {
      check()
      let id = last ?? ''
      yield { id: '', event: 'comment', data: 'this is the live stream' }
      let next = last === undefined ? this.said.length : Number(last)
      if (next < this.oldest) {
        yield { id: '', event: 'reset', data: '{}' }
        next = this.said.length
      }
      let { beats } = this
      while (!signal.aborted) {
        check()
        while (next < this.said.length) {
          const data = JSON.stringify({ key: this.said[next] })
          next++
          id = String(next)
          yield { id, event: 'progress', data }
        }
        if (beats < this.beats) yield { id: id || this.#at, event: 'comment', data: 'alive' }
        beats = this.beats
        await wait(1)
      }
    } finally {
      this.open--
    }
  }
}
