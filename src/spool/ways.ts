import type { BatchLimits, Outgoing } from '../core/delivery.ts'
import { clock } from '../platform/clock.ts'
import { Lanes } from './lanes.ts'
import type { LaneName } from './positions.ts'
import type { Spool } from './spool.ts'

/** A backlog is long when its oldest event is older than this, in milliseconds. */
const longBacklogMs = 60_000

export type WaysOptions = {
  spool: Spool
  sink: string
  limits: BatchLimits
  ordered?: boolean
  wants?: (event: Outgoing) => boolean
}

/** Events on their way to a sink: the backlog, or new ones that go before it. */
export type Way = { name: LaneName; lanes: Lanes }

/**
 * The ways to one sink. There is one, the backlog, until it is long; then new events have a live lane of their
 * own and go first, if the readers of the sink do not depend on order. When the backlog has reached the place
 * where that began, the two are one again.
 */
export class Ways {
  readonly #options: WaysOptions
  #backlog: Way
  #live: Way | undefined

  constructor(options: WaysOptions) {
    this.#options = options
    this.#backlog = this.#open('backlog')
    if (options.spool.accounts.isLive(options.sink)) this.#live = this.#open('live')
  }

  #open(name: LaneName): Way {
    const { spool, sink, limits, wants } = this.#options
    const lanes = new Lanes({
      limits,
      read: (after, limit, bytes) => spool.peek(sink, limit, bytes, after),
      last: () => spool.accounts.end(sink, way.name),
      acked: spool.acked(sink, name),
      sharedBy: () => 2 * Math.max(1, spool.sinks.length),
      ...(wants ? { wants } : {}),
    })
    const way: Way = { name, lanes }
    return way
  }

  get all(): Way[] {
    return this.#live ? [this.#backlog, this.#live] : [this.#backlog]
  }

  get backlog(): Way {
    return this.#backlog
  }

  get live(): Way | undefined {
    return this.#live
  }

  /**
   * Takes up where the spool has the sink: events were skipped, or the backlog has reached the live lane.
   *
   * @returns the ways there are now
   */
  follow(): Way[] {
    const { spool, sink } = this.#options
    if (this.#live && !spool.accounts.isLive(sink)) {
      this.#live.name = 'backlog'
      this.#backlog = this.#live
      this.#live = undefined
    }
    for (const { name, lanes } of this.all) lanes.skipTo(spool.acked(sink, name))
    return this.all
  }

  /** True while new events wait that go before the backlog. */
  get hasNews(): boolean {
    const { spool, sink } = this.#options
    const isLive = this.#live !== undefined && spool.accounts.isLive(sink)
    return isLive && spool.acked(sink, 'live') < spool.lastOut
  }

  /** True when new events are to go first, and do not yet. */
  get isLong(): boolean {
    const { spool, sink, ordered = true } = this.#options
    if (ordered || this.#live || spool.carrying) return false
    const oldestMs = spool.oldestMs(sink)
    return oldestMs !== undefined && clock.nowMs() - oldestMs >= longBacklogMs
  }

  openLive(): void {
    const { spool, sink } = this.#options
    spool.accounts.openLive(sink)
    this.#live = this.#open('live')
  }
}
