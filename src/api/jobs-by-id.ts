import type { Context } from 'hono'
import * as z from 'zod'
import { maxJobIds } from '../core/job.ts'
import { jobToWire } from '../core/job-wire.ts'
import { isUuid } from '../core/uuid.ts'
import { readParams } from './query-params.ts'
import { answer, ask, listOf, type ReaderSource } from './reader-source.ts'

const message = `must be a list of 1 to ${maxJobIds} UUIDs, comma between`

/**
 * The parameters of `GET /v1/jobs/by-id`. A site that does not know the path yet takes its last part
 * for the id of a job and refuses that with a 422 which names `id`; so does central, asked for such a
 * site. sites/jobs-by-id.ts relies on it.
 */
export const jobsByIdParams = z.object({
  id: z
    .string(message)
    .transform((value, ctx) => {
      const ids = [...new Set(value.split(',').map((part) => part.trim().toLowerCase()))]
      const fits = ids.length <= maxJobIds && ids.every(isUuid)
      if (!fits) ctx.issues.push({ code: 'custom', message, input: value })
      return ids
    })
    .meta({
      description: `Ids of jobs or subjobs, up to ${maxJobIds}; comma between.`,
      repeatable: true,
    }),
})

/** Answers the jobs and subjobs with the given ids, in one question to the reader. */
export async function answerJobsById(c: Context, reader: ReaderSource): Promise<Response> {
  const { id: ids } = readParams(c, jobsByIdParams)
  const started = performance.now()
  const asked = ask(reader)
  const jobs = await asked.reader.getJobs(ids, c.req.raw.signal)
  return answer(c, asked, started, listOf(jobs.map(jobToWire)))
}
