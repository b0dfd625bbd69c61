import { appsQuestion } from './apps.ts'
import { sourcesQuestion } from './sources.ts'
import { statsQuestion } from './stats.ts'

/** Every question that is answered with a whole list. */
export const questions = [appsQuestion, sourcesQuestion, statsQuestion]
