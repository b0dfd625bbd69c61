import { AppError } from './errors.ts'
import type { Job } from './job.ts'

/**
 * Maximum size of a page of any list as JSON, about: 10,000 usual jobs fit, and 160 with all the metadata
 * that a job can have. A page holds at least one item, and its cursor leads on from where it ends.
 */
export const maxPageBytes = 16 * 2 ** 20

/** Maximum items in a page of a list that has no `limit`. */
export const maxListItems = 10_000

/** Fields of a job that are always small: ids, times, numbers, and all names. */
const smallFields = 1050

/** The size of a job as JSON, about; never much less. */
export const estimateBytes = (job: Job): number =>
  smallFields +
  measureJson([
    ...[job.metadata, job.metrics, job.lastError, job.usual],
    ...[job.appName, job.appVersion, job.jobKey, job.subKey],
  ])

/** The size of a value as JSON in UTF-8. */
export const measureJson = (value: unknown): number => Buffer.byteLength(JSON.stringify(value))

/**
 * For a list that comes whole.
 *
 * @throws AppError invalid when it is larger than a page
 */
export function checkWhole(items: readonly unknown[]): void {
  if (measureJson(items) <= maxPageBytes) return
  throw new AppError('invalid', `the answer is over ${maxPageBytes} bytes; ask for less at a time`)
}
