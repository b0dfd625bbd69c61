import type { Hono } from 'hono'
import type { HealthOptions } from '../api/health.ts'
import { roleRoutes } from '../api/role-routes.ts'
import { type Route, toBareRoutes } from '../api/route.ts'
import { Auth, refuseOpenDoor } from '../platform/auth.ts'
import { bareRoutes } from '../platform/bare-routes.ts'
import { Callers } from '../platform/callers.ts'
import { createApp } from '../platform/http.ts'
import { listen, toAddress } from '../platform/listen.ts'
import type { RoleContext, RoleReady, StartContext } from '../platform/role.ts'
import type { SharedConfig } from '../platform/settings/shared.ts'

type ServerConfig = SharedConfig & { PORT: number; REQUEST_READ_TIMEOUT_S?: number }

/**
 * The tokens of a role, read before anything else is opened.
 *
 * @throws ConfigError when other machines could reach the role and there are no tokens
 */
export function openAuth(config: SharedConfig, { insecure, log }: StartContext): Auth {
  const auth = new Auth({
    tokensFile: config.TOKENS_FILE,
    anonymous: config.ALLOW_ANONYMOUS,
    onTrouble(trouble) {
      if (trouble) log.error({ trouble }, 'changed tokens do not count, the last ones are kept')
      else log.info('the file of tokens can be read again')
    },
  })
  refuseOpenDoor(config.HOST, auth, insecure)
  return auth
}

/** The HTTP side of a role. */
export type Service = {
  auth: Auth
  /** The role, as its documents and its health name it. */
  title: string
  name: string
  check: HealthOptions['check']
  /** The routes of the role, besides those that every role has. */
  routes: readonly Route[]
  /** Routes that take every other path; mounted last. */
  pages?: Hono
  /** Updates the metrics that are known only by asking. */
  refreshMetrics?: () => unknown
}

const toCallers = ({ ALLOWED_HOSTS, HOST }: SharedConfig, auth: Auth) =>
  new Callers({
    names: ALLOWED_HOSTS,
    listensOn: HOST,
    isOpen: auth.isOpen('read') || auth.isOpen('ingest'),
  })

/** The app of a role: its own routes, and those that every role has. */
export function createRoleApp(
  config: SharedConfig,
  { log, metrics }: RoleContext,
  { auth, title, name, check, routes, pages, refreshMetrics }: Service,
): Hono {
  const app = createApp({ log, metrics, callers: toCallers(config, auth) })
  const health = { service: config.SERVICE_NAME ?? name, check }
  const refresh = refreshMetrics ? { refreshMetrics } : {}
  app.route('/', roleRoutes({ title, auth, metrics, health, routes, ...refresh }))
  if (pages) app.route('/', pages)
  return app
}

/** Serves the app of a role until it stops. */
export async function serve(
  config: ServerConfig,
  context: RoleContext,
  service: Service,
): Promise<RoleReady> {
  const app = createRoleApp(config, context, service)
  const bare = bareRoutes(toBareRoutes(service.routes), {
    ...context,
    auth: service.auth,
    callers: toCallers(config, service.auth),
  })
  return { url: await listen(app, toAddress(config), context.life, bare) }
}
