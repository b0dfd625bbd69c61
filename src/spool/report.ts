import type { Logger } from 'pino'
import { clock } from '../platform/clock.ts'
import { describeCounts, type EventCounts, stalledS } from '../platform/effect.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Drain } from './drain.ts'
import type { Spool, SpoolOptions } from './spool.ts'

/** Tells the state of a spool that was just opened. */
export function logSpool({ report, guard, dir, source, carrying }: Spool, log: Logger): void {
  const { behind, recordTrouble } = guard
  if (report.damaged) log.error({ dir, ...report.damaged }, 'damaged spool set aside')
  if (carrying) log.error({ dir, ...carrying }, 'damaged spool set aside, carrying its events over')
  if (behind) log.error({ dir, ...behind }, 'events are missing from the spool')
  if (recordTrouble)
    log.error({ dir, reason: recordTrouble }, 'missing events would not be noticed')
  if (report.sourceIdChange) log.error({ dir, ...report.sourceIdChange }, 'source id changed')
  if (report.resetSinks.length > 0) {
    log.error({ dir, sinks: report.resetSinks }, 'invalid sink positions, delivering again')
  }
  const waiting = report.recovered
  log.info({ dir, source: source.id, epoch: source.epoch, waiting }, 'spool open')
}

/**
 * The health of a spool: ready while it can keep events. A sink that fails, refuses or does not
 * settle what waits, and a door that refuses, only make it degraded.
 *
 * @param recent the outcomes at the door
 */
export function describeSpool(spool: Spool, drains: readonly Drain[], recent: EventCounts) {
  spool.recover()
  const trouble = spool.trouble
  const sinks = Object.fromEntries(drains.map((drain) => [drain.sink, describeSink(spool, drain)]))
  const failing = drains.some((drain) => drain.state.failures > 0)
  const { damaged, sourceIdChange } = spool.report
  const { behind, recordTrouble, checking } = spool.guard
  const { carrying } = spool
  const isOdd = damaged ?? carrying ?? sourceIdChange ?? behind ?? recordTrouble
  const { shown, faults } = describeCounts(recent)
  for (const drain of drains) faults.push(...sinkFaults(drain))
  return {
    ready: trouble === undefined,
    status: failing || isOdd || faults.length > 0 ? ('degraded' as const) : ('ok' as const),
    spool_count: spool.count,
    spool_dir: spool.dir,
    spool_bytes: spool.bytes,
    source: spool.source,
    sinks,
    last_5_min: { events: shown.events, rejected: shown.rejected, failed: shown.failed },
    ...(trouble ? { trouble } : {}),
    ...(faults.length > 0 ? { faults } : {}),
    ...(damaged ? { damaged } : {}),
    ...(carrying ? { carrying_over: carrying } : {}),
    ...(behind ? { behind } : {}),
    ...(recordTrouble ? { record: recordTrouble } : {}),
    ...(sourceIdChange ? { source_id_change: sourceIdChange } : {}),
    ...(checking ? { checking } : {}),
  }
}

function sinkFaults({ sink, recent, stalledMs }: Drain): string[] {
  const faults = describeCounts(recent).faults.map((fault) => `${sink}: ${fault}`)
  if (stalledMs >= stalledS * 1000) {
    faults.push(
      `${sink}: events wait, and none was delivered or refused for ${Math.floor(stalledMs / 1000)} s`,
    )
  }
  return faults
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
  ms === undefined ? 0 : Math.max(0, clock.nowMs() - ms) / 1000

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
): Pick<SpoolOptions, 'onCommit' | 'onTrouble' | 'onReject' | 'onCarriedOver'> {
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
    onCarriedOver: (damage) => log.error(damage, 'events of a damaged spool carried over'),
  }
}
