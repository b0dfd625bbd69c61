import type { JobFilter, JobReader } from '../../core/job.ts'

/** What an API reports about itself. */
export type Health = { status: string; version: string }

/** A message of the API's live stream; a heartbeat has `event` set to `comment`. */
export type LiveMessage = { id: string; event: string; data: string }

/** What the dashboard needs from the API of one site. */
export type Backend = JobReader & {
  health(signal: AbortSignal): Promise<Health>
  follow(lastEventId: string | undefined, signal: AbortSignal): AsyncIterable<LiveMessage>
  exportJobs(
    filter: JobFilter,
    format: 'csv' | 'ndjson',
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>>
}
