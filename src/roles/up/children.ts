import { join } from 'node:path'
import type { ChildSpec } from '../../platform/supervised-child.ts'
import { isPlace, roleSettings } from '../settings.ts'
import type { UpTokens } from './tokens.ts'

export type UpPorts = Record<
  'sidecar' | 'local-api' | 'archiver' | 'central' | 'web' | 'web-central',
  number
>

export type UpLayout = {
  dir: string
  site: string
  ports: UpPorts
  databaseUrl: string
  tokens: Pick<UpTokens, 'file' | 'token'>
  /** The environment of `up`. */
  env: NodeJS.ProcessEnv
  /** The folder has simulated jobs. */
  simulated: boolean
}

/** Settings about where something is that `up` uses although it decides the others itself. */
const used = ['TOKENS_FILE', 'ALLOW_ANONYMOUS']

/** The settings of roles in our environment that have no effect under `up`. */
export const ignoredSettings = (env: NodeJS.ProcessEnv): string[] =>
  Object.keys(env).filter(
    (name) =>
      name === 'WAFERMON_CONFIG' ||
      (isPlace(name) &&
        !used.includes(name) &&
        Object.values(roleSettings).some(({ shape }) => name in shape)),
  )

/** Variables that are not settings and must not reach a child either. */
const notForChildren =
  /^(PG.*|S3_.*|INTEGRATIONS_CONFIG|WAFERMON_CONFIG|NODE_OPTIONS|NODE_CHANNEL_.*)$/

/**
 * The part of our environment for a child: settings about how much and how often pass through, such
 * as RETENTION_HOURS or LOG_LEVEL. `up` itself decides where things are, and TLS or a configuration
 * file meant for one role would break the others.
 */
export function inherited(env: NodeJS.ProcessEnv): Record<string, string> {
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] =>
      entry[1] !== undefined && !isPlace(entry[0]) && !notForChildren.test(entry[0]),
  )
  return Object.fromEntries(kept)
}

/** The process that runs the embedded database. */
export function databaseChild(dir: string, env: NodeJS.ProcessEnv): ChildSpec {
  const args = ['embedded-postgres', '--dir', dir]
  return spec('embedded-postgres', dir, args, inherited(env), true)
}

/** The roles, in the order of their starts: those that answer before those that ask. */
export function roleChildren(layout: UpLayout): ChildSpec[] {
  const { dir, site, ports, databaseUrl, tokens, env, simulated } = layout
  const LOCAL_API_TOKEN = tokens.token
  const at = (role: keyof UpPorts) => `http://127.0.0.1:${ports[role]}`
  const archive = { ARCHIVE_DIR: join(dir, 'archive') }
  const shows = { LOCAL_API_TOKEN, DEFAULT_SITE: site, SIMULATED: String(simulated) }
  const settings: Record<keyof UpPorts, Record<string, string>> = {
    'local-api': { DATABASE_URL: databaseUrl, ...archive },
    archiver: { DATABASE_URL: databaseUrl, ...archive },
    sidecar: { SPOOL_DIR: join(dir, 'spool'), LOCAL_API_BASE: at('local-api'), LOCAL_API_TOKEN },
    central: { SITES: `${site}=${at('local-api')}`, LOCAL_API_TOKEN },
    web: { LOCAL_API: at('local-api'), ...shows },
    'web-central': { CENTRAL_API: at('central'), ...shows },
  }
  const open = env.ALLOW_ANONYMOUS
  const auth = { TOKENS_FILE: tokens.file, ...(open ? { ALLOW_ANONYMOUS: open } : {}) }
  return (Object.keys(settings) as (keyof UpPorts)[]).map((name) => {
    const own = { HOST: '127.0.0.1', PORT: String(ports[name]), SERVICE_NAME: name }
    const args = [name === 'web-central' ? 'web' : name]
    return spec(name, dir, args, { ...inherited(env), ...auth, ...own, ...settings[name] }, true)
  })
}

/** Jobs that the simulated fab starts per minute: its first 24 hours are sent within seconds. */
export const jobsPerMinute = 20

/** The simulated fab. It sends to the sidecar, as programs do. */
export function simulatorChild({ dir, site, ports, tokens, env }: UpLayout): ChildSpec {
  const url = `http://127.0.0.1:${ports.sidecar}`
  const rate = String(jobsPerMinute)
  const args = ['simulate', '--url', url, '--site', site, '--rate', rate, '--quiet']
  return spec('simulator', dir, args, { ...inherited(env), SIDECAR_TOKEN: tokens.token }, false)
}

function spec(
  name: string,
  dir: string,
  args: string[],
  env: Record<string, string>,
  saysReady: boolean,
): ChildSpec {
  return { name, args, env, logFile: join(dir, 'logs', `${name}.log`), saysReady }
}
