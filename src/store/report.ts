import { describeCounts, type EventCounts, stalledS } from '../platform/effect.ts'
import type { Readiness } from './database-watch.ts'
import type { IngestProgress } from './ingest-queue.ts'
import type { MaintenanceState } from './maintenance.ts'
import type { ReusingSpool } from './reuse-alarm.ts'
import type { RollupsState } from './rollups/run-rollups.ts'

/** A horizon that has not moved for this long is a fault: it is moved once a minute. */
const longestStandS = 600

export type StoreFacts = {
  pool: { size: number; available: number }
  database: Readiness
  ingest: IngestProgress
  maintenance: MaintenanceState
  rollups: RollupsState
  /** How long the freeze horizon has not moved, in seconds. */
  horizonStandsS: number
  /** Spools that gave numbers again in the last day. */
  reused: readonly ReusingSpool[]
  recent: EventCounts
}

/**
 * The health of a local API, by effect: not ready while the database is away, or while events wait and
 * none is committed, whatever the reason; degraded when one of its jobs is not done.
 */
export function describeStore(facts: StoreFacts) {
  const { pool, database, ingest, maintenance, rollups, horizonStandsS, reused, recent } = facts
  const { shown, faults } = describeCounts(recent)
  const { here, lastRunAt, failed, doubt } = maintenance
  // In doubt it stands on purpose, and that is said below.
  if (horizonStandsS >= longestStandS && doubt === undefined) {
    faults.push(
      `the freeze horizon has not moved for ${Math.floor(horizonStandsS / 60)} min: no replica does maintenance, or the database's clock went back`,
    )
  }
  if (ingest.oldestMs >= stalledS * 1000) {
    faults.push(`the oldest event has waited ${Math.floor(ingest.oldestMs / 1000)} s for a commit`)
  }
  if (rollups.failed !== undefined) faults.push(`rollups could not be made: ${rollups.failed}`)
  const trouble = database.state === 'ready' ? stall(ingest) : database.why
  const isHealthy = failed.length + faults.length + reused.length === 0 && doubt === undefined
  return {
    ready: trouble === undefined,
    status: isHealthy ? ('ok' as const) : ('degraded' as const),
    database_pool: pool,
    ...(database.state === 'ready' ? { edition: database.edition } : {}),
    ...(trouble === undefined ? {} : { trouble }),
    ...(faults.length > 0 ? { faults } : {}),
    ingest: {
      last_commit_at: ingest.lastCommitAt,
      waiting: ingest.waiting,
      oldest_waiting_s: Math.round(ingest.oldestMs) / 1000,
      last_5_min: shown,
    },
    reused_numbers: reused,
    maintenance: {
      here,
      last_run_at: lastRunAt,
      failed,
      ...(doubt === undefined ? {} : { stopped: doubt }),
    },
    rollups: { here: rollups.here, last_run_at: rollups.lastRunAt },
  }
}

function stall({ waiting, stalledMs }: IngestProgress): string | undefined {
  if (stalledMs < stalledS * 1000) return undefined
  return `nothing was committed for ${Math.floor(stalledMs / 1000)} s, events waiting: ${waiting}; is a table locked, or the database stuck?`
}
