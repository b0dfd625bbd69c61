import type { Refusal } from './delivery.ts'
import type { Event } from './event.ts'
import { toEndStatus } from './event-slots.ts'

/*
 * The metrics that an ended job makes, for destinations where each metric costs: a few known ones, with few labels.
 * What programs measure besides is in the event itself.
 */

type EventMetric = {
  name: string
  unit: 'Count' | 'Seconds' | 'Megabytes'
  about: string
  read: (event: Event) => number | undefined
}

const measured = (name: string, unit: EventMetric['unit'], about: string): EventMetric => ({
  ...{ name, unit, about },
  read: ({ event }) => event.metrics?.[name],
})

export const eventMetrics: readonly EventMetric[] = [
  { name: 'jobs', unit: 'Count', about: 'Jobs that ended, or subjobs.', read: () => 1 },
  measured('duration_s', 'Seconds', 'Duration, where the event has it.'),
  measured('cpu_user_s', 'Seconds', 'CPU time of the program.'),
  measured('cpu_system_s', 'Seconds', 'CPU time of the system.'),
  measured('mem_max_mb', 'Megabytes', 'Peak memory in MiB.'),
]

type Label = { name: string; about: string; read: (event: Event) => string | undefined }

/** The labels of every metric; the app is capped by the sink. */
export const metricLabels: readonly Label[] = [
  { name: 'site_id', about: 'The site.', read: ({ site_id }) => site_id },
  {
    name: 'app_name',
    about: 'Name of the app; `other` beyond the first 100 of a sidecar.',
    read: ({ app }) => app?.name,
  },
  { name: 'entity_type', about: '`job` or `subjob`.', read: ({ entity }) => entity?.type },
  { name: 'status', about: 'How it ended.', read: (event) => toEndStatus(event) },
]

/** A metric of one event. */
export type Measurement = { name: string; unit: EventMetric['unit']; value: number }

/**
 * The metrics of an event; none when it does not end its job.
 *
 * @param max the greatest magnitude that the destination takes; one over it is the reason why there are none
 */
export function toMeasurements(event: Event, max: number): Measurement[] | Refusal {
  if (toEndStatus(event) === undefined) return []
  const found: Measurement[] = []
  for (const { name, unit, read } of eventMetrics) {
    const value = read(event)
    if (typeof value !== 'number') continue
    if (!Number.isFinite(value) || Math.abs(value) > max) {
      return { field: `event.metrics.${name}`, detail: `is over ${max}, the greatest value there` }
    }
    found.push({ name, unit, value })
  }
  return found
}
