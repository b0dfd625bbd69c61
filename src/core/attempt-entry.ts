import type { EndStatus } from './job.ts'
import type { Micros } from './time.ts'

/** What is kept of an attempt. */
export type AttemptEntry = {
  given_started_at?: Micros
  started_event_at?: Micros
  first_event_at: Micros
  queued_at?: Micros
  /** Of the terminal event that decides. */
  end?: {
    at: Micros
    key: string
    status: EndStatus
    ended_at: Micros
    duration_s?: number
    exit_code?: string
  }
  /** Of the latest error. */
  error?: { at: Micros; key: string; text: string }
}

/** Entries by number of the attempt. */
export type AttemptEntries = Record<string, AttemptEntry>
