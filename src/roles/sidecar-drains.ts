import type { RoleContext } from '../platform/role.ts'
import { inSpan } from '../platform/tracing.ts'
import { localApiSink } from '../sinks/local-api.ts'
import type { Sink } from '../sinks/sink.ts'
import { Drain } from '../spool/drain.ts'
import type { Spool } from '../spool/spool.ts'
import type { SidecarConfig } from './settings.ts'

/** Everywhere that a sidecar delivers to. */
export const sinksOf = (config: SidecarConfig): Sink[] => [
  localApiSink({
    baseUrl: config.LOCAL_API_BASE,
    token: config.LOCAL_API_TOKEN,
    timeoutMs: config.REQUEST_TIMEOUT_S * 1000,
  }),
]

/** Delivers what the spool holds to one sink, until the role stops. */
export function startDrain(
  sink: Sink,
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
    batchSize: config.MAX_BATCH_SIZE,
    idleMs: config.DRAIN_INTERVAL_S * 1000,
    log,
    metrics,
  })
  const running = drain.run(life.signal)
  life.onStop(`drain ${sink.name}`, () => running)
  return drain
}
