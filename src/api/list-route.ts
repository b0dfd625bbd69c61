import type * as z from 'zod'
import { placeToWire, readPlace } from '../core/list-order.ts'
import type { Question } from '../core/questions/question.ts'
import { cursorParam } from './job-params.ts'
import { answerItems, ask, type ReaderSource } from './reader-source.ts'
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
}

/** Room for a list without a limit: its items are counts, and small. */
const usualItems = 40

/** The route of a question of `core/questions`. */
export function listRoute<Query extends z.ZodObject, Params, Item>(
  reader: ReaderSource,
  { question, query, toParams, answer: list, ...declared }: ListRoute<Query, Params, Item>,
): Route {
  const { order, table } = question
  return route({
    ...declared,
    method: 'get',
    path: question.path,
    scope: 'read',
    query: order ? query.extend({ cursor: cursorParam }) : query,
    answer: { 'application/json': [list] },
    problems: [422, 503],
    async handle(c, given) {
      const params = toParams(given as z.infer<Query>)
      const { cursor } = given as { cursor?: string | undefined }
      const after = order && cursor !== undefined ? readPlace(order, cursor) : undefined
      const asked = ask(reader)
      const { limit = usualItems } = given as { limit?: number | undefined }
      return answerItems(c, asked, limit, async () => {
        const { signal } = c.req.raw
        const page = await asked.reader.askPage(question, params, signal, after)
        const { items, next, partial = false, cut = false } = page
        const more = order ? { next_cursor: next && placeToWire(next) } : { partial, cut }
        return { items, toWire: table.toWire, more }
      })
    },
  })
}
