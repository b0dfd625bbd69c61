import { join } from 'node:path'
import type { ChildSpec } from '../../platform/supervised-child.ts'

export type UpPorts = Record<
  'sidecar' | 'local-api' | 'archiver' | 'central' | 'web' | 'web-central',
  number
>

export type UpLayout = {
  dir: string
  site: string
  ports: UpPorts
  databaseUrl: string
  /** Our own environment. */
  env: NodeJS.ProcessEnv
}

/**
 * What a child keeps of our environment: settings about how much and how often pass through, as
 * RETENTION_HOURS or LOG_LEVEL. Where things are is ours to say, and a token file, TLS or a
 * configuration file meant for one role would break the others.
 */
export function inherited(env: NodeJS.ProcessEnv): Record<string, string> {
  const places =
    /^(HOST|PORT|PG.*|DATABASE_URL|LOCAL_API.*|CENTRAL_API|SITES|SITE_ID|DEFAULT_SITE|SIDECAR_URL|SPOOL_DIR|ARCHIVE_DIR|S3_.*|TOKENS_FILE|ALLOW_ANONYMOUS|TLS_.*|SERVICE_NAME|WAFERMON_CONFIG|JSON_LOGS|NODE_OPTIONS|NODE_CHANNEL_.*|INTEGRATIONS_CONFIG)$/
  const kept = Object.entries(env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined && !places.test(entry[0]),
  )
  return Object.fromEntries(kept)
}

/** The process that runs the embedded database. */
export function databaseChild(dir: string, env: NodeJS.ProcessEnv): ChildSpec {
  const args = ['embedded-postgres', '--dir', dir]
  return spec('embedded-postgres', dir, args, inherited(env), true)
}

/** The roles, in the order in which they are started: who is asked comes before who asks. */
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

/** The simulated fab; its only way in is the sidecar. */
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
