import type * as z from 'zod'
import type { Question } from '../core/questions/question.ts'
import { answer, ask, type ReaderSource, toList } from './reader-source.ts'
import { type Declaration, type Route, route } from './route.ts'

type ListRoute<Query extends z.ZodObject, Params, Item> = Pick<
  Declaration,
  'tag' | 'summary' | 'description' | 'examples'
> & {
  question: Question<Params, Item>
  query: Query
  /** @throws AppError invalid when parameters contradict each other */
  toParams(query: z.infer<Query>): Params
  /** The named schema of the list. */
  answer: z.ZodType
  /** Further fields of the answer, of a list that comes in pages. */
  more?: (items: readonly Item[], params: Params) => object
}

/** The route of a question of `core/questions`. */
export function listRoute<Query extends z.ZodObject, Params, Item>(
  reader: ReaderSource,
  { question, toParams, answer: list, more, ...declared }: ListRoute<Query, Params, Item>,
): Route {
  return route({
    ...declared,
    method: 'get',
    path: question.path,
    scope: 'read',
    answer: { 'application/json': [list] },
    problems: [422, 503],
    async handle(c, query) {
      const params = toParams(query)
      const started = performance.now()
      const asked = ask(reader)
      const items = await asked.reader.ask(question, params, c.req.raw.signal)
      const shown = toList(items.map(question.table.toWire))
      return answer(c, asked, started, { ...shown, ...more?.(items, params) })
    },
  })
}
