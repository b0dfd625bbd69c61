import type { RoleContext } from '../platform/role.ts'
import { inSpan } from '../platform/tracing.ts'
import type { OpenSink } from '../sinks/index.ts'
import { Drain } from '../spool/drain.ts'
import { Heartbeats } from '../spool/heartbeats.ts'
import type { Spool } from '../spool/spool.ts'
import type { SidecarConfig } from './settings.ts'

/** Tells every sink that listens how the spool is, and goodbye once all drains have stopped. */
export function startHeartbeats(
  sinks: readonly OpenSink[],
  { spool, drains }: { spool: Spool; drains: readonly Drain[] },
  { SPOOL_MAX_BYTES: maxBytes }: SidecarConfig,
  { log, life, metrics }: RoleContext,
): Heartbeats {
  const receivers = sinks.flatMap(({ name, report }) => (report ? [{ name, report }] : []))
  const heartbeats = new Heartbeats({ spool, drains, receivers, maxBytes, log, metrics })
  // Not before the drains are there, of which it speaks.
  const running = Promise.resolve().then(() => heartbeats.run(life.signal))
  life.onStop('heartbeats', async () => {
    await running
    await heartbeats.sayGoodbye()
  })
  return heartbeats
}

/** Delivers the events of the spool to one sink, until the role stops. */
export function startDrain(
  sink: OpenSink,
  spool: Spool,
  config: SidecarConfig,
  context: RoleContext,
): Drain {
  const { log, life, metrics } = context
  const drain = new Drain({
    spool,
    sink: sink.name,
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
  const running = drain.run(life.signal)
  life.onStop(`drain ${sink.name}`, () => running)
  return drain
}
