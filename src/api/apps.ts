import * as z from 'zod'
import { appsQuestion } from '../core/questions/apps.ts'
import { named, pagesAnswer } from './answers.ts'
import { siteParam } from './job-params.ts'
import { listRoute } from './list-route.ts'
import type { ReaderSource } from './reader-source.ts'
import type { Route } from './route.ts'

const appList = named('AppList', pagesAnswer(appsQuestion.table.shown))

export function appRoutes({ reader }: { reader: ReaderSource }): Route[] {
  return [
    listRoute(reader, {
      question: appsQuestion,
      tag: 'Jobs',
      summary: 'Lists the apps that have reported',
      query: z.object({ site: siteParam('Only apps of this site.') }),
      toParams: ({ site }) => ({ site }),
      answer: appList,
    }),
  ]
}
