import { Hono } from 'hono'
import { type Auth, requireScope } from '../platform/auth.ts'
import { appRoutes } from './apps.ts'
import type { Limits } from './job-params.ts'
import { jobRoutes } from './jobs.ts'
import type { ReaderSource } from './reader-source.ts'
import { sourceRoutes } from './sources.ts'
import { statsRoutes } from './stats.ts'
import { type StreamRouteOptions, streamRoutes } from './stream.ts'

export type ReadApiOptions = {
  reader: ReaderSource
  auth: Auth
  limits: Limits
  /** The live stream; none unless given. */
  stream?: StreamRouteOptions
  /** Milliseconds since 1970. */
  now?: () => number
}

/** What the paths of the questions look like, for what must stand before them. */
export const readPaths = [
  '/v1/jobs/*',
  '/v1/subjobs',
  '/v1/apps',
  '/v1/stats',
  '/v1/sources',
  '/v1/stream',
]

/** Every route that answers questions, behind the scope `read`. `readSpecs` documents them. */
export function readApi({ reader, auth, limits, stream, now = Date.now }: ReadApiOptions): Hono {
  const app = new Hono()
  for (const path of readPaths) app.on(['GET', 'HEAD'], path, requireScope(auth, 'read'))
  app.route('/', jobRoutes({ reader, limits, now }))
  app.route('/', appRoutes({ reader }))
  app.route('/', statsRoutes({ reader, now }))
  app.route('/', sourceRoutes({ reader }))
  if (stream) app.route('/', streamRoutes(stream))
  return app
}
