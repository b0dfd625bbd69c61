import type { Slots } from '../../core/slots.ts'
import type { Micros } from '../../core/time.ts'

/*
 * A job of the archive as the slots of the fold. The archive has what a job shows and not which event gave it, so the slots
 * are such that the row shows the same, and that only events after its last one change what it shows.
 */

/** What the archive has of a job or subjob. Null where it has nothing. */
export type ShelvedJob = {
  id: string
  parentId: string | null
  appId: string
  appName: string
  appVersion: string
  siteId: string
  jobKey: string | null
  subKey: string | null
  status: string
  startedAt: Micros
  endedAt: Micros | null
  durationS: number | null
  cpuUserS: number | null
  cpuSystemS: number | null
  memMaxMb: number | null
  progress: number | null
  metrics: Record<string, number> | null
  metadata: Record<string, unknown> | null
  errorCount: number
  lastError: string | null
  /** Null in files of earlier versions. */
  firstEventAt: Micros | null
  lastEventAt: Micros
  eventCount: number
  insertedAt: Micros
  updatedAt: Micros
  attempt: number
  attempts: Slots['attempts'] | null
  queuedAt: Micros | null
  lastQueuedAt: Micros | null
  version: number
}

/** Less than the key of every event. */
const noKey = '00000000-0000-0000-0000-000000000000'

/** The slots of a job that show what the archive has of it. */
export function slotsOfShelved(job: ShelvedJob): Slots {
  const { startedAt, lastEventAt, metrics, metadata, progress, lastError } = job
  const isTold = isStartTold(job)
  const first = job.firstEventAt ?? [startedAt, job.queuedAt ?? startedAt, lastEventAt].sort()[0]
  const given = (slots: object, isGiven: boolean) => (isGiven ? slots : {})
  return {
    id: job.id,
    ...given({ given_started_at: startedAt }, isTold),
    // The start that is shown when no event tells one.
    first_event_at: isTold ? (first ?? startedAt) : startedAt,
    ...{ last_event_at: lastEventAt, last_event_key: noKey },
    ...{ app_id: job.appId, app_name: job.appName, app_version: job.appVersion },
    ...{ site_id: job.siteId, event_count: job.eventCount, error_count: job.errorCount },
    ...present({ parent_id: job.parentId, job_key: job.jobKey, sub_key: job.subKey }),
    ...present({
      cpu_user_s: job.cpuUserS,
      cpu_system_s: job.cpuSystemS,
      mem_max_mb: job.memMaxMb,
    }),
    ...metadataOf(job, metadata),
    ...given({ progress_at: lastEventAt, progress_key: noKey, progress }, progress !== null),
    ...given(
      { error_at: lastEventAt, error_key: noKey, last_error: lastError },
      lastError !== null,
    ),
    ...given({ metrics: metrics && withOrder(metrics, lastEventAt + noKey) }, metrics !== null),
    attempt: job.attempt,
    ...present({
      attempts: job.attempts,
      queued_at: job.queuedAt,
      last_queued_at: queuedLast(job),
    }),
    ...given({ last_started_at: latest(job) }, job.status === 'running' && job.queuedAt !== null),
  } as Slots
}

/** Of a job that waited and has ended, and whose start no event tells, the duration is not known. */
function isStartTold({
  queuedAt,
  endedAt,
  durationS,
  status,
  startedAt,
  firstEventAt,
  attempts,
}: ShelvedJob) {
  if (queuedAt === null) return true
  if (endedAt !== null) return durationS !== null
  if (status !== 'queued') return true
  // The first event is of all attempts: of several it says nothing about the one that is shown.
  if (attempts !== null) return startedAt !== queuedAt
  return firstEventAt !== null && startedAt !== firstEventAt
}

function metadataOf(job: ShelvedJob, metadata: ShelvedJob['metadata']): Partial<Slots> {
  const at = { at: job.lastEventAt, key: noKey }
  if (job.endedAt === null) {
    return metadata === null
      ? {}
      : { start_meta_at: at.at, start_meta_key: at.key, start_metadata: metadata }
  }
  return present({
    ...{
      end_event_at: at.at,
      end_event_key: at.key,
      end_status: job.status,
      ended_at: job.endedAt,
    },
    ...{ given_duration_s: job.durationS, end_metadata: metadata },
  }) as Partial<Slots>
}

const withOrder = (metrics: Record<string, number>, order: string) =>
  Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, [order, value]]))

/** Files of earlier versions do not have it; one that waits was queued. */
const queuedLast = ({ lastQueuedAt, queuedAt }: ShelvedJob) => lastQueuedAt ?? queuedAt

/** One that runs began after it was last queued. */
const latest = ({ lastQueuedAt, startedAt }: ShelvedJob) =>
  lastQueuedAt !== null && lastQueuedAt > startedAt ? lastQueuedAt : startedAt

const present = (values: object) =>
  Object.fromEntries(Object.entries(values).filter(([, value]) => value !== null))
