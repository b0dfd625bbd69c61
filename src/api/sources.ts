import * as z from 'zod'
import { AppError } from '../core/errors.ts'
import {
  readSourceCursor,
  type SourceFilter,
  sourceCursorToWire,
  sourcesQuestion,
} from '../core/questions/sources.ts'
import { sourceStates } from '../core/source-state.ts'
import { listAnswer, named, text as textOf } from './answers.ts'
import { listRoute } from './list-route.ts'
import { choice, choices, limitParam, text } from './query-params.ts'
import type { ReaderSource } from './reader-source.ts'
import type { Route } from './route.ts'

const sourceList = named(
  'SourceList',
  listAnswer(sourcesQuestion.table.shown).extend({
    next_cursor: textOf('Cursor of the next page; null on the last page.').nullable(),
  }),
)

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
        cursor: text(1000, '`next_cursor` of the previous page, unchanged.'),
      }),
      toParams: ({ state, trouble, limit = limits.defaultLimit, cursor }): SourceFilter => ({
        states: state,
        trouble: trouble === 'true',
        limit,
        after: cursor === undefined ? undefined : toPlace(cursor),
      }),
      answer: sourceList,
      more: (items, { limit }) => {
        const last = items.at(-1)
        const isFull = last !== undefined && limit !== undefined && items.length >= limit
        return { next_cursor: isFull ? sourceCursorToWire(last) : null }
      },
      examples: [
        { query: 'trouble=true', about: 'what needs a look' },
        { query: 'state=silent,unknown', about: 'spools whose content is not known' },
      ],
    }),
  ]
}

/** @throws AppError invalid */
function toPlace(cursor: string) {
  const place = readSourceCursor(cursor)
  if (place) return place
  throw new AppError('invalid', 'cursor: is not one of this list; send `next_cursor` unchanged', {
    field: 'cursor',
  })
}
