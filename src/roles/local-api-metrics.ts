import type { Event } from '../core/event.ts'
import { slotsFromEvent, toEndStatus } from '../core/event-slots.ts'
import { toShown } from '../core/fold.ts'
import type { Metrics } from '../platform/metrics.ts'

/** Counts a commit, and the jobs that ended with it, each by the event that ended it first. */
export function countCommit(metrics: Metrics, events: number, ended: readonly Event[]): void {
  metrics.ingestBatch.observe(events)
  for (const event of ended) {
    const status = toEndStatus(event)!
    const app_name = metrics.appLabel(event.app.name)
    metrics.jobs.inc({ app_name, status })
    const durationS = toldDuration(event)
    if (durationS !== null) metrics.jobDuration.observe({ app_name }, durationS)
  }
}

/** Null when the event alone does not tell: its start would be taken for its end, and count as 0 s. */
function toldDuration(event: Event): number | null {
  const slots = slotsFromEvent(event)
  const told = slots.given_duration_s !== undefined || slots.given_started_at !== undefined
  return told ? toShown(slots).durationS : null
}
