import { isWanted } from '../core/sink-filter.ts'
import type { RoleContext } from '../platform/role.ts'
import { inSpan } from '../platform/tracing.ts'
import type { OpenSink } from '../sinks/index.ts'
import { Drain } from '../spool/drain.ts'
import type { Heartbeats } from '../spool/heartbeats.ts'
import type { Spool } from '../spool/spool.ts'
import type { SidecarConfig } from './settings.ts'

/** How long a delivery may still take that is under way when its sink is replaced, in milliseconds. */
const graceMs = 30_000

export type LoopOptions = {
  spool: Spool
  heartbeats: Heartbeats
  config: SidecarConfig
  context: RoleContext
}

/** What runs for a sink: its drain, and the heartbeats if it takes any. */
export class SinkLoops {
  readonly drain: Drain
  readonly #options: LoopOptions
  readonly #sink: OpenSink
  readonly #end = new AbortController()
  readonly #cut = new AbortController()
  readonly #draining: Promise<void>
  readonly #telling: Promise<void> | undefined

  constructor(sink: OpenSink, options: LoopOptions) {
    const { life } = options.context
    this.#options = options
    this.#sink = sink
    this.drain = makeDrain(sink, options)
    const end = AbortSignal.any([life.signal, this.#end.signal])
    this.#draining = this.drain.run(end, AbortSignal.any([life.signal, this.#cut.signal]))
    const { name, report } = sink
    // Not before all drains are there, of which it speaks.
    if (report)
      this.#telling = Promise.resolve().then(() =>
        options.heartbeats.keepTelling({ name, report }, end),
      )
  }

  /** Once its drain has stopped; the role is stopping, or it was {@link end}ed. */
  get drained(): Promise<void> {
    return this.#draining
  }

  /** The last word to it, once nothing is delivered any more. */
  async sayGoodbye(): Promise<void> {
    const { name, report } = this.#sink
    await this.#telling
    if (report) await this.#options.heartbeats.sayGoodbye({ name, report })
  }

  /**
   * Ends them. A delivery that is under way is waited for, as nothing that was taken is to be sent again; one that
   * hangs is cut off, and its events are offered again as after any failure.
   */
  async end(): Promise<void> {
    this.#end.abort()
    const timer = setTimeout(() => this.#cut.abort(), graceMs)
    await this.#draining.finally(() => clearTimeout(timer))
    await this.sayGoodbye()
  }
}

function makeDrain(sink: OpenSink, { spool, config, context }: LoopOptions): Drain {
  const { log, metrics } = context
  return new Drain({
    spool,
    sink: sink.name,
    ordered: sink.ordered,
    keepsState: sink.ordered,
    wants: (event) => isWanted(event, sink.filter),
    deliver: (batch, signal) =>
      inSpan(
        'sidecar.deliver',
        { 'wafermon.sink': sink.name, 'wafermon.events': batch.length },
        () => sink.deliver(batch, signal),
      ),
    limits: {
      events: Math.min(config.MAX_BATCH_SIZE, sink.limits.events),
      bytes: sink.limits.bytes,
    },
    idleMs: config.DRAIN_INTERVAL_S * 1000,
    log,
    metrics,
  })
}
