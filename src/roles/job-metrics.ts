import type { Event } from '../core/event.ts'
import { endStatusOf, shownOf, slotsOf } from '../core/fold.ts'
import type { Metrics } from '../platform/metrics.ts'

/** Counts a commit, and the jobs that ended with it. Replayed history moves no job counter. */
export function countCommit(metrics: Metrics, events: number, fresh: readonly Event[]): void {
  metrics.ingestBatch.observe(events)
  for (const event of fresh) {
    const status = event.historical || event.entity.type !== 'job' ? undefined : endStatusOf(event)
    if (status === undefined) continue
    const app_name = metrics.appLabel(event.app.name)
    metrics.jobs.inc({ app_name, status })
    const { durationS } = shownOf(slotsOf(event))
    if (durationS !== null) metrics.jobDuration.observe({ app_name }, durationS)
  }
}
