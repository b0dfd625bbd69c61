import type { Event } from '../core/event.ts'
import { slotsFromEvent, toEndStatus } from '../core/event-slots.ts'
import { toShown } from '../core/fold.ts'
import { must } from '../core/must.ts'
import type { Metrics } from '../platform/metrics.ts'

/**
 * Counts a commit and the jobs that ended with it.
 *
 * @param ended for each of these jobs the event that ended it first
 */
export function countCommit(metrics: Metrics, events: number, ended: readonly Event[]): void {
  metrics.ingestBatch.observe(events)
  countEnded(metrics, ended)
}

/** Counts jobs that ended. @param ended for each of these jobs the event that ended it first */
export function countEnded(metrics: Metrics, ended: readonly Event[]): void {
  for (const event of ended) {
    const status = must(toEndStatus(event), 'ingest reports only events that end a job')
    const app_name = metrics.appLabel(event.app.name)
    metrics.jobs.inc({ app_name, status })
    const durationS = toldDuration(event)
    if (durationS !== null) metrics.jobDuration.observe({ app_name }, durationS)
  }
}

/** Null when the event alone does not tell: its end would count as its start too, and make 0 s. */
function toldDuration(event: Event): number | null {
  const slots = slotsFromEvent(event)
  const started = slots.given_started_at ?? slots.started_event_at
  const told = slots.given_duration_s !== undefined || started !== undefined
  return told ? toShown(slots).durationS : null
}
