import type { Context } from 'hono'
import type { JobReader } from '../core/job.ts'
import type { SitesReport } from '../core/sites.ts'

/** A reader for one question, and the outcome per site once it is answered. */
export type Asked = { reader: JobReader; sites?: () => SitesReport }

/** The source of answers: one reader, or one made for every question, which reports on its sites. */
export type ReaderSource = JobReader | (() => Asked)

export const ask = (source: ReaderSource): Asked =>
  typeof source === 'function' ? source() : { reader: source }

/**
 * Answers a question with JSON: the body, the time it took, and over several sites the outcome per
 * site.
 *
 * @param started when the question came, from performance.now()
 */
export function answer(c: Context, { sites }: Asked, started: number, body: object): Response {
  // A job has a `duration_s` of its own, which wins.
  return c.json({ duration_s: secondsSince(started), ...body, ...(sites && { sites: sites() }) })
}

export const secondsSince = (started: number): number =>
  Math.round((performance.now() - started) * 1000) / 1e6

/** A list that comes whole. */
export const toList = (items: readonly unknown[]) => ({ items, count: items.length })
