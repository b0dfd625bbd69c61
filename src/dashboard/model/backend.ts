import type { EndStatus, JobFilter, JobReader } from '../../core/job.ts'

/** The health that an API reports. */
export type Health = { status: string; version: string }

/** A message of the API's live stream; a heartbeat has `event` set to `comment`. */
export type LiveMessage = { id: string; event: string; data: string }

/** The part of a site that the dashboard needs. */
export type Backend = JobReader & {
  /**
   * Accepts what a source has lost; absent over several sites, where it is done at the site. `missing`: how many events
   * the person saw missing.
   *
   * @throws AppError with what the API says
   */
  acceptSource?(
    id: string,
    acceptance: { reason: string; by: string; missing: number },
    signal: AbortSignal,
  ): Promise<void>
  /**
   * Closes a job or subjob; absent over several sites, where it is done at the site.
   *
   * @throws AppError with what the API says
   */
  closeJob?(
    id: string,
    closing: { status: EndStatus; reason: string; by: string },
    signal: AbortSignal,
  ): Promise<void>
  health(signal: AbortSignal): Promise<Health>
  /** @param site only events of this site */
  follow(
    lastEventId: string | undefined,
    signal: AbortSignal,
    site?: string,
  ): AsyncIterable<LiveMessage>
  exportJobs(
    filter: JobFilter,
    format: 'csv' | 'ndjson',
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>>
}
