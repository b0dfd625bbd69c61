import { sourcesQuestion } from '../core/questions/sources.ts'
import { listAnswer, named } from './answers.ts'
import { listRoute } from './list-route.ts'
import { noParams } from './query-params.ts'
import type { ReaderSource } from './reader-source.ts'
import type { Route } from './route.ts'

const sourceList = named('SourceList', listAnswer(sourcesQuestion.table.shown))

export function sourceRoutes({ reader }: { reader: ReaderSource }): Route[] {
  return [
    listRoute(reader, {
      question: sourcesQuestion,
      tag: 'Pipeline',
      summary: 'Lists the spools that deliver: last number, gaps, lag, clock offset',
      query: noParams,
      toParams: () => ({}),
      answer: sourceList,
    }),
  ]
}
