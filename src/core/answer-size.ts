import type { Job } from './job.ts'

/**
 * Maximum size of a page of jobs as JSON, about: 10,000 usual jobs fit, and 160 with all the metadata
 * that a job can have. A page holds at least one job, and `nextCursor` leads on from where it ends.
 */
export const maxPageBytes = 16 * 2 ** 20

/** What a job takes besides the fields that have no small limit. */
const smallFields = 1000

/** The size of a job as JSON, about. */
export const estimateBytes = ({ metadata, metrics, lastError, usual }: Job): number =>
  smallFields + Buffer.byteLength(JSON.stringify([metadata, metrics, lastError, usual]))
