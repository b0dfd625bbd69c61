import type { Logger } from 'pino'
import type { Metrics } from '../platform/metrics.ts'
import type { Drain } from './drain.ts'
import type { Spool, SpoolOptions } from './spool.ts'

/** The health of a spool: ready while it can keep events; a sink that fails only makes it degraded. */
export function describeSpool(spool: Spool, drains: readonly Drain[]) {
  spool.recover()
  const trouble = spool.trouble
  const sinks = Object.fromEntries(drains.map((drain) => [drain.sink, describeSink(spool, drain)]))
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

function describeSink(spool: Spool, { sink, state }: Drain) {
  return {
    lag_events: spool.lag(sink),
    lag_s: secondsSince(spool.oldestMs(sink)),
    failures: state.failures,
    ...(state.reason ? { reason: state.reason } : {}),
    rejects: spool.rejects.count(sink).count,
  }
}

const secondsSince = (ms: number | undefined) =>
  ms === undefined ? 0 : Math.max(0, Date.now() - ms) / 1000

/** Sets the gauges of the spool and of its drains. */
export function setSpoolMetrics(metrics: Metrics, spool: Spool, drains: readonly Drain[]): void {
  metrics.eventsInSpool.set(spool.count)
  metrics.spoolBytes.set(spool.bytes)
  metrics.spoolOldestAge.set(secondsSince(spool.oldestMs()))
  for (const { sink } of drains) {
    metrics.sinkLagEvents.set({ sink }, spool.lag(sink))
    metrics.sinkLagSeconds.set({ sink }, secondsSince(spool.oldestMs(sink)))
    metrics.rejects.set({ sink }, spool.rejects.count(sink).count)
  }
}

/** Counts and logs what happens in a spool. */
export function watchSpool(
  metrics: Metrics,
  log: Logger,
): Pick<SpoolOptions, 'onCommit' | 'onTrouble' | 'onReject'> {
  return {
    onCommit: () => metrics.spoolCommits.inc(),
    onTrouble(trouble) {
      if (trouble) log.error({ trouble }, 'the spool accepts no events')
      else log.info('the spool accepts events again')
    },
    onReject(sink, change, count) {
      metrics.rejectChanges.inc({ sink, change }, count)
      if (change === 'dropped') log.warn({ sink, count }, 'rejects dropped by an operator')
    },
  }
}
