import type { Logger } from 'pino'
import { fromMs } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import { describeCounts, type EventCounts, stalledS } from '../platform/effect.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { SinkAccount } from './accounts.ts'
import type { Drain } from './drain.ts'
import type { GapRow } from './gaps.ts'
import { describePause, lagSeconds, toSinkState } from './integrations.ts'
import type { Spool } from './spool.ts'
import type { SpoolOptions } from './spool-options.ts'

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
 * @param refused set while the sinks are not those of the configuration as it is now
 */
export function describeSpool(
  spool: Spool,
  drains: readonly Drain[],
  recent: EventCounts,
  refused?: { at: string; problems: readonly string[] },
) {
  spool.recover()
  const trouble = spool.trouble
  const accounts = spool.accounts.list()
  const ofSink = (name: string) => drains.find(({ sink }) => sink === name)
  const sinks = Object.fromEntries(
    accounts.map((account) => [account.name, describeSink(spool, account, ofSink(account.name))]),
  )
  const failing = drains.some((drain) => drain.state.failures > 0)
  const { damaged, sourceIdChange } = spool.report
  const { behind, recordTrouble, checking } = spool.guard
  const { carrying } = spool
  const isOdd = damaged ?? carrying ?? sourceIdChange ?? behind ?? recordTrouble
  const { shown, faults } = describeCounts(recent)
  if (spool.accounts.trouble) faults.push(spool.accounts.trouble)
  if (refused) faults.push(...refused.problems.map((text) => `${notTaken}: ${text}`))
  for (const drain of drains) faults.push(...sinkFaults(drain))
  for (const account of accounts) faults.push(...accountFaults(account))
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
    ...(refused ? { configuration_refused: refused } : {}),
    ...(damaged ? { damaged } : {}),
    ...(carrying ? { carrying_over: carrying } : {}),
    ...(behind ? { behind } : {}),
    ...(recordTrouble ? { record: recordTrouble } : {}),
    ...(sourceIdChange ? { source_id_change: sourceIdChange } : {}),
    ...(checking ? { checking } : {}),
  }
}

const notTaken = 'the configuration of sinks was read again and refused, the one before is in force'

function sinkFaults({ sink, recent, stalledMs }: Drain): string[] {
  const faults = describeCounts(recent).faults.map((fault) => `${sink}: ${fault}`)
  if (stalledMs >= stalledS * 1000) {
    faults.push(
      `${sink}: events wait, and none was delivered or refused for ${Math.floor(stalledMs / 1000)} s`,
    )
  }
  return faults
}

/** How long a gap makes health degraded, in milliseconds. */
const gapIsNewsMs = 24 * 3600 * 1000

function accountFaults(account: SinkAccount): string[] {
  const { name, detached, disabled, lag, gap } = account
  const paused = describePause(account)
  const faults = paused ? [`${name}: ${paused}`] : []
  if (detached || disabled) {
    const [what, remedy] = disabled ? ['enabled', 'enable it'] : ['configured', 'configure it']
    faults.push(
      `${name}: is not ${what}, and ${lag} events are kept for it; ${remedy}, or give them up with wafermon spool sinks forget ${name}`,
    )
  }
  if (gap && clock.nowMs() - gap.at_ms < gapIsNewsMs) {
    faults.push(`${name}: ${gap.events} events were skipped: ${gap.reason}`)
  }
  return faults
}

/** @param drain absent for a sink that is not configured */
function describeSink(spool: Spool, account: SinkAccount, drain: Drain | undefined) {
  const { name, required, accepted, delivered, filtered, rejected, skipped, gap } = account
  const failures = drain?.state.failures ?? 0
  const reason = describePause(account) ?? drain?.state.reason
  const retrying = spool.rejects.countDue(name)
  return {
    ...{ state: toSinkState(account, drain), required },
    ...{ lag_events: account.lag, lag_s: lagSeconds(spool, name) },
    ...{ lag_bytes: account.lagBytes, failures, ...(reason ? { reason } : {}) },
    rejects: spool.rejects.count(name).count,
    ...(retrying > 0 ? { retrying } : {}),
    ...{ accepted, delivered, filtered, rejected, skipped },
    ...(gap ? { last_gap: describeGap(gap) } : {}),
  }
}

const describeGap = ({ from_seq, to_seq, events, from_ms, to_ms, at_ms, reason }: GapRow) => ({
  ...{ from: from_seq, to: to_seq, events, accepted_from: fromMs(from_ms) },
  ...{ accepted_to: fromMs(to_ms), at: fromMs(at_ms), reason },
})

/** Sets the gauges of the spool and of its drains. */
export function setSpoolMetrics(metrics: Metrics, spool: Spool, drains: readonly Drain[]): void {
  metrics.eventsInSpool.set(spool.count)
  metrics.spoolBytes.set(spool.bytes)
  metrics.spoolOldestAge.set(lagSeconds(spool))
  setSinkMetrics(metrics, spool, drains)
}

/** Of all that have a position now: a sink that was forgotten is gone. */
function setSinkMetrics(metrics: Metrics, spool: Spool, drains: readonly Drain[]): void {
  const { sinkState, sinkLagEvents, sinkLagSeconds, rejects, sinkEvents } = metrics
  const all = [sinkState, sinkLagEvents, sinkLagSeconds, rejects, ...Object.values(sinkEvents)]
  for (const one of all) one.reset()
  for (const account of spool.accounts.list()) {
    const sink = account.name
    sinkLagEvents.set({ sink }, account.lag)
    sinkLagSeconds.set({ sink }, lagSeconds(spool, sink))
    rejects.set({ sink }, spool.rejects.count(sink).count)
    const drain = drains.find((one) => one.sink === sink)
    sinkState.set({ sink, state: toSinkState(account, drain) }, 1)
    for (const outcome of outcomes) sinkEvents[outcome].inc({ sink }, account[outcome])
  }
}

const outcomes = ['accepted', 'delivered', 'filtered', 'rejected', 'skipped'] as const

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
