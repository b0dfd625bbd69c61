import type { Logger } from 'pino'
import type { Metrics } from '../platform/metrics.ts'
import type { Drain } from './drain.ts'
import type { Spool } from './spool.ts'

/** Tells the state of a spool that was just opened. */
export function logSpool({ report, guard, dir, source }: Spool, log: Logger): void {
  const { behind, recordTrouble } = guard
  if (report.damaged) log.error({ dir, ...report.damaged }, 'damaged spool set aside')
  if (behind) log.error({ dir, ...behind }, 'the spool lags behind its record of the last number')
  if (recordTrouble) log.error({ dir, reason: recordTrouble }, 'no record of the last number')
  if (report.sourceIdChange) log.error({ dir, ...report.sourceIdChange }, 'source id changed')
  if (report.resetSinks.length > 0) {
    log.error({ dir, sinks: report.resetSinks }, 'invalid sink positions, delivering again')
  }
  const waiting = report.recovered
  log.info({ dir, source: source.id, epoch: source.epoch, waiting }, 'spool open')
}

/** The health of a spool: ready while it can keep events; a sink that fails only makes it degraded. */
export function describeSpool(spool: Spool, drains: readonly Drain[]) {
  const trouble = spool.trouble
  const sinks = Object.fromEntries(drains.map((drain) => [drain.sink, describeSink(spool, drain)]))
  const failing = drains.some((drain) => drain.state.failures > 0)
  const { damaged, sourceIdChange } = spool.report
  const { behind, recordTrouble, checking } = spool.guard
  const isOdd = damaged ?? sourceIdChange ?? behind ?? recordTrouble
  return {
    ready: trouble === undefined,
    status: failing || isOdd ? ('degraded' as const) : ('ok' as const),
    spool_count: spool.count,
    spool_dir: spool.dir,
    spool_bytes: spool.bytes,
    source: spool.source,
    sinks,
    ...(trouble ? { trouble } : {}),
    ...(damaged ? { damaged } : {}),
    ...(behind ? { behind } : {}),
    ...(recordTrouble ? { record: recordTrouble } : {}),
    ...(sourceIdChange ? { source_id_change: sourceIdChange } : {}),
    ...(checking ? { checking } : {}),
  }
}

function describeSink(spool: Spool, { sink, state }: Drain) {
  return {
    lag_events: spool.lag(sink),
    lag_s: secondsSince(spool.oldestMs(sink)),
    failures: state.failures,
    ...(state.reason ? { reason: state.reason } : {}),
    rejects: countRejects(spool, sink),
  }
}

const secondsSince = (ms: number | undefined) =>
  ms === undefined ? 0 : Math.max(0, Date.now() - ms) / 1000

const countRejects = (spool: Spool, sink: string) =>
  spool.countRejects().find((row) => row.sink === sink)?.count ?? 0

/** Sets the gauges of the spool and of its drains. */
export function setSpoolMetrics(metrics: Metrics, spool: Spool, drains: readonly Drain[]): void {
  metrics.eventsInSpool.set(spool.count)
  metrics.spoolBytes.set(spool.bytes)
  metrics.spoolOldestAge.set(secondsSince(spool.oldestMs()))
  for (const { sink } of drains) {
    metrics.sinkLagEvents.set({ sink }, spool.lag(sink))
    metrics.sinkLagSeconds.set({ sink }, secondsSince(spool.oldestMs(sink)))
    metrics.rejects.set({ sink }, countRejects(spool, sink))
  }
}
