import type { RoleContext } from '../platform/role.ts'
import { inSpan } from '../platform/tracing.ts'
import { type OpenSink, openSink, type SinkEntry } from '../sinks/index.ts'
import { Drain } from '../spool/drain.ts'
import type { Spool } from '../spool/spool.ts'
import type { SidecarConfig } from './settings.ts'

/** Opens everything that a sidecar delivers to. */
export const openSinks = (config: SidecarConfig, { log }: RoleContext): OpenSink[] =>
  [defaultEntry(config)].map((entry) => openSink(entry, { log }))

/** The local API of the site, from the settings of the sidecar. */
const defaultEntry = (config: SidecarConfig): SinkEntry => ({
  type: 'local_api',
  name: 'local-api',
  config: {
    base_url: config.LOCAL_API_BASE,
    token: config.LOCAL_API_TOKEN,
    timeout_s: config.REQUEST_TIMEOUT_S,
  },
})

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
