import { acceptRoutes } from '../../src/api/accept-source.ts'
import { toCentral } from '../../src/api/central-routes.ts'
import { closeRoutes } from '../../src/api/close-job.ts'
import { heartbeatRoutes } from '../../src/api/heartbeat.ts'
import { ingestRoutes } from '../../src/api/ingest.ts'
import type { Limits } from '../../src/api/job-params.ts'
import { questionRoutes } from '../../src/api/questions.ts'
import { aboutRoutes } from '../../src/api/role-routes.ts'
import type { Route } from '../../src/api/route.ts'
import { siteRoutes } from '../../src/api/sites.ts'
import { spoolRoutes } from '../../src/roles/spool-routes.ts'

/*
 * The declarations of every role, for documents: their handlers have nothing to answer with.
 */
const nothing = undefined as never

const about = aboutRoutes({ title: '', metrics: nothing, health: {} as never }, () => [])
const ingest = ingestRoutes({} as never)
const questions = (limits: Limits) => questionRoutes({ reader: nothing, limits, stream: nothing })

export const sidecarRoutes = (): Route[] => [
  ...ingest,
  ...spoolRoutes({} as never, nothing, nothing),
  ...about,
]

export const localApiRoutes = (limits: Limits): Route[] => [
  ...questions(limits),
  ...ingest,
  ...heartbeatRoutes({} as never),
  ...acceptRoutes({} as never),
  ...closeRoutes({} as never),
  ...about,
]

export const centralRoutes = (limits: Limits): Route[] => [
  ...siteRoutes({ list: nothing }),
  ...toCentral(questions(limits), nothing),
  ...about,
]

/** The routes that every role has. */
export const commonRoutes = (): Route[] => about
