import * as z from 'zod'
import { type SourceFilter, sourcesQuestion } from '../core/questions/sources.ts'
import { sourceStates } from '../core/source-state.ts'
import { named, pagesAnswer } from './answers.ts'
import { listRoute } from './list-route.ts'
import { choice, choices, limitParam } from './query-params.ts'
import type { ReaderSource } from './reader-source.ts'
import type { Route } from './route.ts'

const sourceList = named('SourceList', pagesAnswer(sourcesQuestion.table.shown))

type Limits = { defaultLimit: number; maxLimit: number }

export function sourceRoutes({
  reader,
  limits,
}: {
  reader: ReaderSource
  limits: Limits
}): Route[] {
  return [
    listRoute(reader, {
      question: sourcesQuestion,
      tag: 'Pipeline',
      summary: 'Lists the spools that deliver or report: state, waiting events, gaps, clock',
      description:
        'By id. Unless `state` is given: without those that retired or were replaced, but for those that show a loss.',
      query: z.object({
        state: choices(sourceStates, 'Exactly the sources in these states.'),
        trouble: choice(
          ['true', 'false'],
          'true: only those that are silent or late, or show a loss, a wrong clock or a spool in trouble.',
        ).optional(),
        limit: limitParam(limits),
      }),
      toParams: ({ state, trouble, limit = limits.defaultLimit }): SourceFilter => ({
        states: state,
        trouble: trouble === 'true',
        limit,
      }),
      answer: sourceList,
      examples: [
        { query: 'trouble=true', about: 'what needs a look' },
        { query: 'state=silent,unknown', about: 'spools whose content is not known' },
      ],
    }),
  ]
}
