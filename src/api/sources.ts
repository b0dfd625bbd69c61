import { sourceTable } from '../core/source-wire.ts'
import { listAnswer, named } from './answers.ts'
import { noParams } from './query-params.ts'
import { answer, ask, type ReaderSource, toList } from './reader-source.ts'
import { type Route, route } from './route.ts'

const sourceList = named('SourceList', listAnswer(sourceTable.shown))

export function sourceRoutes({ reader }: { reader: ReaderSource }): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/sources',
      tag: 'Pipeline',
      summary: 'Lists the spools that deliver: last number, gaps, lag, clock offset',
      scope: 'read',
      query: noParams,
      answer: { 'application/json': [sourceList] },
      problems: [422, 503],
      async handle(c) {
        const started = performance.now()
        const asked = ask(reader)
        const sources = await asked.reader.listSources(c.req.raw.signal)
        return answer(c, asked, started, toList(sources.map(sourceTable.toWire)))
      },
    }),
  ]
}
