import * as z from 'zod'
import { type CausesFilter, causesQuestion, startRecent } from '../core/questions/causes.ts'
import { fromMs, toMs } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import { countsAnswer, named } from './answers.ts'
import { appNameParam, checkWindow, defaultWindowMs, siteParam } from './job-params.ts'
import { listRoute } from './list-route.ts'
import { number, time } from './query-params.ts'
import type { ReaderSource } from './reader-source.ts'
import type { Route } from './route.ts'

const causeList = named('CauseList', countsAnswer(causesQuestion.table.shown))

const causeParams = z.object({
  from: time('Jobs that ended from then on. Without from and to: the last 7 days.'),
  to: time('Jobs that ended before then.'),
  recent_from: time('Start of the recent part; otherwise the last twelfth, 15 min to 6 h.'),
  min_failed: number({ min: 0, whole: true }, 'Leaves out values of fewer failures.')
    .optional()
    .meta({ default: 1 }),
  site: siteParam('Only this site.'),
  app_name: appNameParam,
})

type Options = {
  reader: ReaderSource
  /** Milliseconds since 1970. */
  now?: () => number
}

export function causeRoutes({ reader, now = clock.nowMs }: Options): Route[] {
  return [
    listRoute(reader, {
      question: causesQuestion,
      tag: 'Jobs',
      summary: 'Counts ended and failed jobs by what they share',
      description:
        'By site, app, version, tool, chamber, recipe, host, type and text of the error, most failures first; the item `all` counts every job. At most 2,000 values.',
      query: causeParams,
      toParams: (params) => toFilter(params, now()),
      answer: causeList,
      examples: [{ query: 'min_failed=3', about: 'values of three failures or more in a week' }],
    }),
  ]
}

/** @throws AppError invalid when the window is empty */
function toFilter(params: z.infer<typeof causeParams>, nowMs: number): CausesFilter {
  const to = params.to ?? fromMs(nowMs)
  const from = params.from ?? fromMs(toMs(to) - defaultWindowMs)
  checkWindow({ from, to })
  const { recent_from, min_failed: minFailed = 1, site, app_name: appName } = params
  return { from, to, recentFrom: recent_from ?? startRecent(from, to), minFailed, site, appName }
}
