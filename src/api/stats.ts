import { Hono } from 'hono'
import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import {
  type StatsBucket,
  type StatsFilter,
  statsBuckets,
  statsGroups,
  statuses,
} from '../core/job.ts'
import { statsRowToWire } from '../core/job-wire.ts'
import { fromMs, toMs } from '../core/time.ts'
import { checkWindow, defaultWindowMs, siteParam, windowParams } from './job-params.ts'
import { oneOf, readParams, someOf, text } from './query-params.ts'
import { answer, ask, listOf, type ReaderSource } from './reader-source.ts'

/** What `GET /v1/stats` can be asked. */
export const statsParams = z.object({
  ...windowParams,
  bucket: oneOf(statsBuckets, 'Length of the time buckets.').optional().meta({ default: 'hour' }),
  group_by: someOf(statsGroups, 'What to tell apart within a bucket.'),
  site: siteParam('Only this site.'),
  app_name: text(200, 'Contained in the name of the app, whatever its case.'),
  status: someOf(statuses, 'Only jobs in these states.'),
})

const bucketMs: Record<StatsBucket, number> = { '5m': 300_000, hour: 3_600_000, day: 86_400_000 }
const maxBuckets = 10_000

export type StatsRouteOptions = {
  reader: ReaderSource
  /** Milliseconds since 1970. */
  now?: () => number
}

/** Counts and durations of jobs by time, by the start of the job. */
export function statsRoutes({ reader, now = Date.now }: StatsRouteOptions): Hono {
  return new Hono().get('/v1/stats', async (c) => {
    const filter = filterOf(readParams(c, statsParams), now())
    const started = performance.now()
    const asked = ask(reader)
    const rows = await asked.reader.stats(filter, c.req.raw.signal)
    return answer(c, asked, started, listOf(rows.map(statsRowToWire)))
  })
}

/** @throws AppError invalid when the window is empty, or has more buckets than anybody can use */
function filterOf(params: z.infer<typeof statsParams>, nowMs: number): StatsFilter {
  const { bucket = 'hour', group_by: groupBy = [], to } = params
  const from = params.from ?? fromMs((to === undefined ? nowMs : toMs(to)) - defaultWindowMs)
  checkWindow({ from, to })
  const buckets = ((to === undefined ? nowMs : toMs(to)) - toMs(from)) / bucketMs[bucket]
  if (buckets > maxBuckets) {
    throw new AppError(
      'invalid',
      `bucket: ${bucket} makes over ${maxBuckets} buckets of this window; take a larger one, or a smaller window`,
      { field: 'bucket' },
    )
  }
  const { site, app_name: appName, status } = params
  return { from, to, bucket, groupBy, site, appName, status }
}
