import { checkWhole } from '../core/answer-size.ts'
import type { ListPage, Place } from '../core/list-order.ts'
import { ensure, must } from '../core/must.ts'
import { appsQuestion } from '../core/questions/apps.ts'
import { causesQuestion } from '../core/questions/causes.ts'
import { questions } from '../core/questions/index.ts'
import { orphansQuestion } from '../core/questions/orphans.ts'
import type { Question } from '../core/questions/question.ts'
import { runningQuestion } from '../core/questions/running.ts'
import { sourcesQuestion } from '../core/questions/sources.ts'
import { statsQuestion } from '../core/questions/stats.ts'
import { listApps } from './apps.ts'
import { countCauses } from './causes.ts'
import type { Store } from './connect.ts'
import { type Counted, countOrphans } from './orphans.ts'
import { countRunning } from './running.ts'
import { listSources } from './sources.ts'
import { findStats } from './stats.ts'

/** The function that answers each question with SQL. */
const answers = new Map([
  inPages(appsQuestion, listApps),
  answer(causesQuestion, countCauses),
  answer(orphansQuestion, countOrphans),
  answer(runningQuestion, countRunning),
  inPages(sourcesQuestion, listSources),
  answer(statsQuestion, findStats),
])

for (const { name } of questions) {
  ensure(answers.has(name), `every question of core/questions has its SQL, and ${name} has none`)
}

type Find<Params, Found> = (
  store: Store,
  params: Params,
  signal: AbortSignal,
  after: Place | undefined,
) => Promise<Found>

/** Answers a question with a list that comes in pages. */
function inPages<Params, Item>(
  { name, order }: Question<Params, Item>,
  find: Find<Params, ListPage<Item>>,
): [name: string, find: Find<never, ListPage<unknown>>] {
  ensure(order !== undefined, `the list of ${name} has an order`)
  return [name, find]
}

/** Answers a question with a list that comes whole, or is cut where the question or its SQL says so. */
function answer<Params, Item>(
  { name, order, maxOf }: Question<Params, Item>,
  find: Find<Params, Item[] | Counted<Item>>,
): [name: string, find: Find<never, ListPage<unknown>>] {
  ensure(order === undefined, `the list of ${name} comes whole`)
  const whole: Find<Params, ListPage<Item>> = async (...asked) => {
    const found = await find(...asked)
    const { items: all, cut } = Array.isArray(found) ? { items: found, cut: false } : found
    const items = all.slice(0, maxOf?.(asked[1]))
    checkWhole(items)
    return { items, next: null, cut: cut || items.length < all.length }
  }
  return [name, whole]
}

export function answerQuestion<Params, Item>(
  store: Store,
  { name }: Question<Params, Item>,
  params: Params,
  { signal, after }: { signal: AbortSignal; after: Place | undefined },
): Promise<ListPage<Item>> {
  const find = must(answers.get(name), `${name} is a question of core/questions`)
  return (find as Find<Params, ListPage<Item>>)(store, params, signal, after)
}
