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
export async function answer(
  c: Context,
  { sites }: Asked,
  started: number,
  body: object,
): Promise<Response> {
  // A job has a `duration_s` of its own, which wins.
  const all = { duration_s: secondsSince(started), ...body, ...(sites && { sites: sites() }) }
  const json = await toJson(all as { items?: unknown })
  return c.body(json, 200, { 'content-type': 'application/json' })
}

/** Items that are written as JSON in one go. */
const sliceSize = 100

/** The JSON of a long list is written some items at a time: others get their turn in between. */
async function toJson({ items, ...rest }: { items?: unknown }): Promise<string> {
  if (!Array.isArray(items) || items.length <= sliceSize) return JSON.stringify({ ...rest, items })
  const texts: string[] = []
  for (let i = 0; i < items.length; i += sliceSize) {
    if (i > 0) await new Promise(setImmediate)
    texts.push(JSON.stringify(items.slice(i, i + sliceSize)).slice(1, -1))
  }
  return `${JSON.stringify(rest).slice(0, -1)},"items":[${texts.join(',')}]}`
}

export const secondsSince = (started: number): number =>
  Math.round((performance.now() - started) * 1000) / 1e6

/** A list that comes whole. */
export const toList = (items: readonly unknown[]) => ({ items, count: items.length })
