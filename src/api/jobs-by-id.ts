import * as z from 'zod'
import { maxJobIds } from '../core/job.ts'
import { jobToWire } from '../core/job-wire.ts'
import { isUuid } from '../core/uuid.ts'
import { job, listAnswer, named, subjob } from './answers.ts'
import { answerItems, ask, type ReaderSource } from './reader-source.ts'
import { type Route, route } from './route.ts'

const message = `must be a comma-separated list of 1 to ${maxJobIds} UUIDs`

const params = z.object({
  id: z
    .string(message)
    .transform((value, ctx) => {
      const ids = [...new Set(value.split(',').map((part) => part.trim().toLowerCase()))]
      const fits = ids.length <= maxJobIds && ids.every(isUuid)
      if (!fits) ctx.issues.push({ code: 'custom', message, input: value })
      return ids
    })
    .meta({
      description: `Ids of jobs or subjobs, up to ${maxJobIds}; comma-separated.`,
      repeatable: true,
    }),
})

const jobsById = named('JobsById', listAnswer(z.union([job, subjob])))

/**
 * `GET /v1/jobs/by-id`, in one question to the reader. An older site takes the last part of the
 * path for the id of a job and refuses that with a 422 that names `id`; so does central, asked for
 * such a site. sites/jobs-by-id.ts relies on it.
 */
export const jobsByIdRoute = ({ reader }: { reader: ReaderSource }): Route =>
  route({
    method: 'get',
    path: '/v1/jobs/by-id',
    tag: 'Jobs',
    summary: 'Shows several jobs or subjobs by their ids',
    description: 'In the order of the ids; those that do not exist are left out.',
    scope: 'read',
    query: params,
    answer: { 'application/json': [jobsById] },
    problems: [413, 422, 503],
    async handle(c, { id: ids }) {
      const asked = ask(reader)
      return answerItems(c, asked, ids.length, async () => ({
        items: await asked.reader.getJobs(ids, c.req.raw.signal),
        toWire: jobToWire,
      }))
    },
  })
