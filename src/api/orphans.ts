import * as z from 'zod'
import { orphansQuestion } from '../core/questions/orphans.ts'
import { countsAnswer, named } from './answers.ts'
import { siteParam } from './job-params.ts'
import { listRoute } from './list-route.ts'
import type { ReaderSource } from './reader-source.ts'
import type { Route } from './route.ts'

const orphanList = named('OrphanList', countsAnswer(orphansQuestion.table.shown))

export function orphanRoutes({ reader }: { reader: ReaderSource }): Route[] {
  return [
    listRoute(reader, {
      question: orphansQuestion,
      tag: 'Jobs',
      summary: 'Counts the subjobs whose job has not reported',
      description:
        'By site and app, most first. A subjob counts from 10 minutes after it arrived until its job arrives. `GET /v1/subjobs?parent=missing` lists them.',
      query: z.object({ site: siteParam('Only this site.') }),
      toParams: ({ site }) => ({ site }),
      answer: orphanList,
    }),
  ]
}
