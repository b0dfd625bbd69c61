import { appRoutes } from './apps.ts'
import { causeRoutes } from './causes.ts'
import { type JobRouteOptions, jobRoutes } from './jobs.ts'
import { orphanRoutes } from './orphans.ts'
import type { Route } from './route.ts'
import { runningRoutes } from './running.ts'
import { sourceRoutes } from './sources.ts'
import { statsRoutes } from './stats.ts'
import { streamRoutes } from './stream.ts'
import type { StreamRouteOptions } from './stream-readers.ts'

export type QuestionOptions = JobRouteOptions & { stream: StreamRouteOptions }

/** Every route that answers questions about jobs, at a local API and over several sites alike. */
export function questionRoutes(options: QuestionOptions): Route[] {
  return [
    ...jobRoutes(options),
    ...appRoutes(options),
    ...statsRoutes(options),
    ...causeRoutes(options),
    ...orphanRoutes(options),
    ...runningRoutes(options),
    ...sourceRoutes(options),
    ...streamRoutes(options.stream),
  ]
}
