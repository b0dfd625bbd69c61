import * as z from 'zod'
import { runningQuestion } from '../core/questions/running.ts'
import { countsAnswer, named } from './answers.ts'
import { appNameParam, exactAppParam, siteParam } from './job-params.ts'
import { listRoute } from './list-route.ts'
import type { ReaderSource } from './reader-source.ts'
import type { Route } from './route.ts'

const runningList = named('RunningList', countsAnswer(runningQuestion.table.shown))

export function runningRoutes({ reader }: { reader: ReaderSource }): Route[] {
  return [
    listRoute(reader, {
      question: runningQuestion,
      tag: 'Jobs',
      summary: 'Counts the running jobs of each site: how many are lost, stuck, late',
      description:
        'All of them, whenever they began. `GET /v1/jobs?flag=lost` lists them. A job that cannot be judged, because nothing like it has run before, is counted as such.',
      query: z.object({
        site: siteParam('Only this site.'),
        app_name: appNameParam,
        exact_app: exactAppParam,
      }),
      toParams: ({ site, app_name, exact_app }) => ({
        ...{ site, appName: app_name, exactApp: exact_app },
      }),
      answer: runningList,
    }),
  ]
}
