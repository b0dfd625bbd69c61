import { cursorToWire, toSort } from './cursor-wire.ts'
import { eventCursorToWire } from './event-cursor.ts'
import type { EventFilter, JobFilter } from './job.ts'

/** The query of `GET /v1/jobs` or `/v1/subjobs` that asks for this. */
export function jobFilterToQuery(filter: JobFilter): URLSearchParams {
  return toQuery({
    from: filter.from,
    to: filter.to,
    time: filter.time,
    sort: toSort(filter.order),
    status: filter.status?.join(','),
    app_name: filter.appName,
    exact_app: filter.exactApp,
    app_version: filter.appVersion,
    app_id: filter.appId,
    site: filter.site,
    business_key: filter.businessKey,
    ...filter.facts,
    flag: filter.flags?.join(','),
    q: filter.q,
    min_duration_s: filter.minDurationS,
    max_duration_s: filter.maxDurationS,
    min_attempts: filter.minAttempts,
    job_id: filter.jobId,
    parent: filter.parent,
    archive: filter.archive?.toString(),
    limit: filter.limit,
    cursor: filter.cursor && cursorToWire(filter.cursor, filter),
  })
}

/** The query of `GET /v1/jobs/{id}/events` that asks for this. */
export function eventFilterToQuery(filter: EventFilter): URLSearchParams {
  return toQuery({
    sort: toSort(filter.order),
    kind: filter.kinds?.join(','),
    status: filter.status?.join(','),
    archive: filter.archive?.toString(),
    limit: filter.limit,
    cursor: filter.after && eventCursorToWire(filter.after, filter.order),
  })
}

/** The values that are given, as a query. */
export function toQuery(values: Record<string, string | number | undefined>): URLSearchParams {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(values)) {
    if (value !== undefined && value !== '') params.set(name, String(value))
  }
  return params
}
