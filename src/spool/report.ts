import type { Metrics } from '../platform/metrics.ts'
import type { Drain } from './drain.ts'
import type { Spool } from './spool.ts'

/** Ready while it can keep events; a local API that is away only makes it degraded. */
export function spoolHealth(spool: Spool, drains: readonly Drain[]) {
  const trouble = spool.trouble
  const sinks = Object.fromEntries(drains.map((drain) => [drain.sink, sinkHealth(spool, drain)]))
  const failing = drains.some((drain) => drain.state.failures > 0)
  const { damaged } = spool.report
  return {
    ready: trouble === undefined,
    status: failing || damaged ? ('degraded' as const) : ('ok' as const),
    spool_count: spool.count,
    spool_dir: spool.dir,
    spool_bytes: spool.bytes,
    source: { id: spool.sourceId, epoch: spool.epoch },
    sinks,
    ...(trouble ? { trouble } : {}),
    ...(damaged ? { damaged } : {}),
  }
}

function sinkHealth(spool: Spool, { sink, state }: Drain) {
  const oldest = spool.oldestMs(sink)
  return {
    lag_events: spool.lag(sink),
    lag_s: oldest === undefined ? 0 : Math.max(0, (Date.now() - oldest) / 1000),
    failures: state.failures,
    ...(state.reason ? { reason: state.reason } : {}),
    rejects: spool.countRejects().find((row) => row.sink === sink)?.count ?? 0,
  }
}

/** Sets the gauges of the spool and of what drains it. */
export function showIn(metrics: Metrics, spool: Spool, drains: readonly Drain[]): void {
  const age = (ms: number | undefined) =>
    ms === undefined ? 0 : Math.max(0, Date.now() - ms) / 1000
  metrics.eventsInSpool.set(spool.count)
  metrics.spoolBytes.set(spool.bytes)
  metrics.spoolOldestAge.set(age(spool.oldestMs()))
  for (const { sink } of drains) {
    metrics.sinkLagEvents.set({ sink }, spool.lag(sink))
    metrics.sinkLagSeconds.set({ sink }, age(spool.oldestMs(sink)))
    metrics.rejects.set({ sink }, spool.countRejects().find((row) => row.sink === sink)?.count ?? 0)
  }
}
