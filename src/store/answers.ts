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
import { countOrphans } from './orphans.ts'
import { countRunning } from './running.ts'
import { listSources } from './sources.ts'
import { findStats } from './stats.ts'

/** The function that answers each question with SQL. */
const answers = new Map([
  answer(appsQuestion, listApps),
  answer(causesQuestion, countCauses),
  answer(orphansQuestion, countOrphans),
  answer(runningQuestion, countRunning),
  answer(sourcesQuestion, listSources),
  answer(statsQuestion, findStats),
])

for (const { name } of questions) {
  ensure(answers.has(name), `every question of core/questions has its SQL, and ${name} has none`)
}

type Answer<Params, Item> = (store: Store, params: Params, signal: AbortSignal) => Promise<Item[]>

function answer<Params, Item>(
  { name }: Question<Params, Item>,
  find: Answer<Params, Item>,
): [name: string, find: Answer<never, unknown>] {
  return [name, find]
}

export function answerQuestion<Params, Item>(
  store: Store,
  { name }: Question<Params, Item>,
  params: Params,
  signal: AbortSignal,
): Promise<Item[]> {
  const find = must(answers.get(name), `${name} is a question of core/questions`)
  return (find as Answer<Params, Item>)(store, params, signal)
}
