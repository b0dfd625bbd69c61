import { appsQuestion } from './apps.ts'
import { causesQuestion } from './causes.ts'
import { orphansQuestion } from './orphans.ts'
import { runningQuestion } from './running.ts'
import { sourcesQuestion } from './sources.ts'
import { statsQuestion } from './stats.ts'

/** Every question that is answered with a whole list. */
export const questions = [
  appsQuestion,
  causesQuestion,
  orphansQuestion,
  runningQuestion,
  sourcesQuestion,
  statsQuestion,
]
