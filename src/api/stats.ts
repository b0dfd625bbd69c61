import * as z from 'zod'
import {
  checkBuckets,
  type StatsFilter,
  statsBuckets,
  statsGroups,
  statsQuestion,
  statsTimes,
} from '../core/questions/stats.ts'
import { fromMs, toMs } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import { countsAnswer, named } from './answers.ts'
import {
  appNameParam,
  checkWindow,
  defaultWindowMs,
  factParams,
  readFacts,
  siteParam,
  statusParam,
  windowParams,
} from './job-params.ts'
import { listRoute } from './list-route.ts'
import { choice, choices } from './query-params.ts'
import type { ReaderSource } from './reader-source.ts'
import type { Route } from './route.ts'

const statsList = named('StatsList', countsAnswer(statsQuestion.table.shown))

const statsParams = z.object({
  ...windowParams,
  time: choice(
    statsTimes,
    'Counts jobs by their start or by their end; by their end, none that run.',
  )
    .optional()
    .meta({ default: 'started' }),
  bucket: choice(statsBuckets, 'Length of the time buckets.').optional().meta({ default: 'hour' }),
  group_by: choices(statsGroups, 'How to group jobs within a bucket.'),
  site: siteParam('Only this site.'),
  app_name: appNameParam,
  status: statusParam,
  ...factParams,
  histogram: choice(['true', 'false'], 'With the histograms of durations and times in a queue.')
    .optional()
    .meta({ default: 'false' }),
})

export type StatsRouteOptions = {
  reader: ReaderSource
  /** Milliseconds since 1970. */
  now?: () => number
}

export function statsRoutes({ reader, now = clock.nowMs }: StatsRouteOptions): Route[] {
  return [
    listRoute(reader, {
      question: statsQuestion,
      tag: 'Jobs',
      summary: 'Counts jobs and their durations by time',
      description:
        'By the start of the jobs, or with `time=ended` by their end. Weeks begin on Monday; all buckets are of UTC. Percentiles are nearest ranks: the value itself up to 7 days, at most 4.43 % away from it beyond and over several sites.',
      query: statsParams,
      toParams: (params) => toFilter(params, now()),
      answer: statsList,
      examples: [
        { query: 'bucket=day&group_by=app,status', about: 'a week by day, app and status' },
      ],
    }),
  ]
}

/** @throws AppError invalid when the window is empty, or has too many buckets */
function toFilter(params: z.infer<typeof statsParams>, nowMs: number): StatsFilter {
  const { bucket = 'hour', group_by: groupBy = [], to } = params
  const from = params.from ?? fromMs((to === undefined ? nowMs : toMs(to)) - defaultWindowMs)
  checkWindow({ from, to })
  checkBuckets(bucket, toMs(from), to === undefined ? nowMs : toMs(to))
  const { site, app_name: appName, status, time } = params
  const histogram = params.histogram === 'true' || undefined
  const facts = readFacts(params)
  return { from, to, time, bucket, groupBy, site, appName, status, facts, histogram }
}
