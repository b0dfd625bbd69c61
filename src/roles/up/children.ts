import { join } from 'node:path'
import type { ChildSpec } from '../../platform/supervised-child.ts'
import { isPlace } from '../settings.ts'

export type UpPorts = Record<
  'sidecar' | 'local-api' | 'archiver' | 'central' | 'web' | 'web-central',
  number
>

export type UpLayout = {
  dir: string
  site: string
  ports: UpPorts
  databaseUrl: string
  /** The environment of `up`. */
  env: NodeJS.ProcessEnv
}

/** Variables that are not settings and must not reach a child either. */
const notForChildren =
  /^(PG.*|S3_.*|INTEGRATIONS_CONFIG|WAFERMON_CONFIG|NODE_OPTIONS|NODE_CHANNEL_.*)$/

/**
 * The part of our environment for a child: settings about how much and how often pass through, such
 * as RETENTION_HOURS or LOG_LEVEL. `up` itself decides where things are, and a token file, TLS or a
 * configuration file meant for one role would break the others.
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
  const { dir, site, ports, databaseUrl, env } = layout
  const at = (role: keyof UpPorts) => `http://127.0.0.1:${ports[role]}`
  const settings: Record<keyof UpPorts, Record<string, string>> = {
    'local-api': { DATABASE_URL: databaseUrl },
    archiver: { DATABASE_URL: databaseUrl, ARCHIVE_DIR: join(dir, 'archive') },
    sidecar: { SPOOL_DIR: join(dir, 'spool'), LOCAL_API_BASE: at('local-api') },
    central: { SITES: `${site}=${at('local-api')}` },
    web: { LOCAL_API: at('local-api'), DEFAULT_SITE: site },
    'web-central': { CENTRAL_API: at('central'), DEFAULT_SITE: site },
  }
  return (Object.keys(settings) as (keyof UpPorts)[]).map((name) => {
    const own = { HOST: '127.0.0.1', PORT: String(ports[name]), SERVICE_NAME: name }
    const args = [name === 'web-central' ? 'web' : name]
    return spec(name, dir, args, { ...inherited(env), ...own, ...settings[name] }, true)
  })
}

/** The simulated fab. It sends to the sidecar, as programs do. */
export function simulatorChild({ dir, site, ports, env }: UpLayout): ChildSpec {
  const args = ['simulate', '--url', `http://127.0.0.1:${ports.sidecar}`, '--site', site, '--quiet']
  return spec('simulator', dir, args, inherited(env), false)
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
