import { readFileSync } from 'node:fs'
import { parse as parseYaml } from 'yaml'
import * as z from 'zod'
import { crossChecks, notReadYet, unreadable, warningsOf } from './config-checks.ts'
import { flag, isPlain, list, number, oneOf, port, text, url, withoutUser } from './settings.ts'

/** Settings that every role reads. The name in the environment is the key. */
const shared = {
  LOG_LEVEL: oneOf(['trace', 'debug', 'info', 'warn', 'error'], 'info', 'Lowest level to log.'),
  JSON_LOGS: flag(true, 'Log one JSON object a line; false prints lines for people.'),
  SERVICE_NAME: text('Name in logs, traces and health; the role unless set.').optional(),
  ENVIRONMENT: text('Name of the environment, put on traces.').default('production'),
  ENABLE_TRACING: flag(false, 'Send OpenTelemetry traces to OTLP_ENDPOINT.'),
  OTLP_ENDPOINT: url(
    ['http', 'https'],
    'Where traces go: OTLP over HTTP, as a rule port 4318; 4317 is gRPC and will not work. Not set: what OTEL_EXPORTER_OTLP_ENDPOINT says, else http://localhost:4318.',
  ).optional(),
  HOST: text('Address to listen on. Beyond loopback, tokens are needed (TOKENS_FILE).').default(
    '127.0.0.1',
  ),
  TOKENS_FILE: text('File of hashed tokens made by `wafermon token new`.').optional(),
  ALLOW_ANONYMOUS: list(
    ['ingest', 'read'],
    'Scopes that need no token although TOKENS_FILE is set; `ingest` for clients that cannot send one.',
  ),
  TLS_CERT: text('File of the certificate chain, PEM; with TLS_KEY switches TLS on.').optional(),
  TLS_KEY: text('File of the private key, PEM.').optional(),
  TLS_CA: text('File of authorities, PEM; set, callers must show a certificate (mTLS).').optional(),
  SHUTDOWN_TIMEOUT_S: number(
    0.1,
    600,
    10,
    's',
    'How long to wait for work in flight when stopping.',
  ),
}

/** What a caller may send; see wire.md, "Limits". */
const limits = {
  MAX_BODY_BYTES: number(
    1024,
    2 ** 30,
    8 * 2 ** 20,
    'bytes',
    'Largest request body as sent.',
    true,
  ),
  MAX_DECOMPRESSED_BYTES: number(
    1024,
    2 ** 30,
    32 * 2 ** 20,
    'bytes',
    'Largest request body once decompressed.',
    true,
  ),
  MAX_BATCH_ITEMS: number(1, 1_000_000, 10_000, 'events', 'Most events in one request.', true),
  MAX_EVENT_BYTES: number(1024, 2 ** 20, 65_536, 'bytes', 'Largest event, as JSON.', true),
  REQUEST_READ_TIMEOUT_S: number(
    1,
    3600,
    30,
    's',
    'Longest time a caller may take to send its headers, and then its body.',
  ),
}

const maxSkewS = number(0, 86_400, 600, 's', 'Times further ahead than this are corrected.')

const queryLimits = {
  QUERY_DEFAULT_LIMIT: number(1, 100_000, 1000, 'rows', 'Rows in a list when none is asked.', true),
  QUERY_MAX_LIMIT: number(1, 100_000, 10_000, 'rows', 'Most rows in a list.', true),
}

const database = {
  DATABASE_URL: url(
    ['postgres', 'postgresql'],
    'The PostgreSQL or TimescaleDB of the site. A socket is written ?host=/folder.',
    { secret: true },
  ),
  DB_POOL_MIN_SIZE: number(0, 500, 2, 'connections', 'Connections opened at start.', true),
  DB_POOL_MAX_SIZE: number(2, 500, 10, 'connections', 'Most connections held open.', true),
}

const retentionHours = number(
  1,
  87_600,
  72,
  'h',
  'How long raw events stay in the hot store; with an archive longer, until it has them.',
)

const token = text('Token to send to the API; made there by `wafermon token new`.')
  .trim()
  .regex(/^[!-~]+$/, 'must be one word of ASCII characters, as `wafermon token new` prints it')
  .meta({ secret: true })
  .optional()

function haveUrls(sites: string): boolean {
  const urls = sites.split(',').map((site) => site.slice(site.indexOf('=') + 1))
  return urls.every((address) => URL.canParse(address) && isPlain(new URL(address)))
}

function areSites(sites: string): boolean {
  const ids = sites.split(',').map((site) => site.slice(0, site.indexOf('=')))
  return new Set(ids).size === ids.length && !ids.some((id) => id === '.' || id === '..')
}

export const schemas = {
  sidecar: z.object({
    ...shared,
    ...limits,
    PORT: port(8000),
    LOCAL_API_BASE: url(['http', 'https'], 'The local API of the site.').default(
      'http://127.0.0.1:18000',
    ),
    LOCAL_API_TOKEN: token,
    SPOOL_DIR: text(
      'Folder of the spool: a state directory that survives reboots, not /tmp.',
    ).default('/var/lib/wafermon/spool'),
    SPOOL_MAX_BYTES: number(
      2 ** 24,
      2 ** 44,
      2 ** 30,
      'bytes',
      'Most bytes of the spool on disk. Above 80 % progress and metric events are refused, at 100 % all.',
      true,
    ),
    MAX_BATCH_SIZE: number(1, 10_000, 500, 'events', 'Most events in one delivery.', true),
    DRAIN_INTERVAL_S: number(
      0.05,
      3600,
      2,
      's',
      'Idle re-check; an append wakes the drain at once.',
    ),
    REQUEST_TIMEOUT_S: number(0.1, 600, 30, 's', 'Longest wait for the local API to answer.'),
    MAX_SKEW_S: maxSkewS,
  }),
  'local-api': z.object({
    ...shared,
    ...limits,
    PORT: port(18_000),
    ...database,
    MAX_SKEW_S: maxSkewS,
    ...queryLimits,
    QUERY_TIMEOUT_S: number(0.1, 600, 15, 's', 'Longest time a query may take; then 503.'),
    FREEZE_AFTER_HOURS: number(
      1,
      8760,
      48,
      'h',
      'Events older than this go to event_late. At most RETENTION_HOURS.',
    ),
    LIVE_KEEP_HOURS: number(0.1, 720, 24, 'h', 'How far back a live stream can resume.'),
    ARCHIVE: oneOf(
      ['on', 'off'],
      'on',
      'Whether an archiver keeps the history; off lets raw events go by age alone.',
    ),
    RETENTION_HOURS: retentionHours,
  }),
  archiver: z.object({
    ...shared,
    PORT: port(18_100),
    ...database,
    SITE_ID: text(
      'Site whose hours are archived; all sites of the database unless set.',
    ).optional(),
    ARCHIVE_DIR: text('Folder of the archive.').default('/var/lib/wafermon/archive'),
    ARCHIVE_INTERVAL_HOURS: number(0.001, 24, 1, 'h', 'How often to look for closed hours.'),
    RETENTION_HOURS: retentionHours,
  }),
  central: z.object({
    ...shared,
    PORT: port(19_000),
    SITES: z
      .string('must be a list such as fab1=http://host:18000,fab2=http://host:18000')
      .regex(
        /^[A-Za-z0-9._-]{1,64}=https?:\/\/[^,\s]+(,[A-Za-z0-9._-]{1,64}=https?:\/\/[^,\s]+)*$/,
        'must be a list such as fab1=http://host:18000,fab2=http://host:18000',
      )
      .refine(haveUrls, 'must give each site a URL without user, query or fragment')
      .refine(areSites, 'must name each site once, and none of them . or ..')
      .meta({ description: 'Sites and their local APIs.', range: 'id=url, comma between' }),
    LOCAL_API_TOKEN: token,
    REQUEST_TIMEOUT_S: number(0.1, 600, 3, 's', 'Longest wait for one site.'),
    ...queryLimits,
  }),
  web: z.object({
    ...shared,
    PORT: port(8501),
    LOCAL_API: url(['http', 'https'], 'The local API to show; or CENTRAL_API.').optional(),
    CENTRAL_API: url(['http', 'https'], 'The central API to show; or LOCAL_API.').optional(),
    LOCAL_API_TOKEN: token,
    DEFAULT_SITE: text('Site shown first.').optional(),
    REQUEST_TIMEOUT_S: number(0.1, 600, 10, 's', 'Longest wait for the API.'),
  }),
} as const

export type RoleName = keyof typeof schemas
export type SidecarConfig = z.infer<(typeof schemas)['sidecar']>
export type LocalApiConfig = z.infer<(typeof schemas)['local-api']>
export type ArchiverConfig = z.infer<(typeof schemas)['archiver']>
export type CentralConfig = z.infer<(typeof schemas)['central']>
export type WebConfig = z.infer<(typeof schemas)['web']>
export type ConfigOf<R extends RoleName> = z.infer<(typeof schemas)[R]>

/** All problems of a configuration, one line each; the message is for the operator as it stands. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  /** One sentence each, when there may be several. */
  readonly problems: readonly string[]

  constructor(message: string, problems: readonly string[] = [message]) {
    super(message)
    this.problems = problems
  }
}

export type ConfigSources = {
  env: Record<string, string | undefined>
  /** YAML or JSON with the same names; `WAFERMON_CONFIG` in the environment unless given. */
  file?: string | undefined
  /** From the command line; they win over the environment, which wins over the file. */
  flags?: Record<string, string | undefined>
}

/**
 * Reads a role's settings, or throws one ConfigError that names every problem at once.
 *
 * @returns the settings, and warnings that an operator should see but that stop nothing
 */
export function readConfig<R extends RoleName>(
  role: R,
  sources: ConfigSources = { env: process.env },
): { config: ConfigOf<R>; warnings: string[] } {
  const schema = schemas[role]
  const { given, problems } = gatherSettings(Object.keys(schema.shape), sources)
  const result = schema.safeParse(given)
  if (!result.success) {
    for (const issue of result.error.issues) {
      problems.push(`${issue.path.join('.')}: ${issue.message}${shownValue(schema, given, issue)}`)
    }
  }
  const config = (result.data ?? given) as ConfigOf<R>
  problems.push(...crossChecks(config), ...unreadable(config))
  if (role === 'web' && !('LOCAL_API' in given) && !('CENTRAL_API' in given)) {
    problems.push('LOCAL_API, CENTRAL_API: set one of them: what is to be shown (not set)')
  }
  if (problems.length > 0) {
    throw new ConfigError(
      [`wafermon ${role}: the configuration has ${count(problems.length)}`, ...problems].join(
        '\n  ',
      ),
      problems,
    )
  }
  return { config, warnings: warningsOf(config, sources.env) }
}

const count = (n: number) => (n === 1 ? 'a problem' : `${n} problems`)

/** Where the value of a setting comes from. */
export type Origin = 'flag' | 'environment' | 'file' | 'default'

/** What is given for settings, as it is written, where each comes from, and what is wrong with the file. */
export function gatherSettings(
  names: readonly string[],
  { env, flags = {}, ...rest }: ConfigSources,
): { given: Record<string, unknown>; origins: Record<string, Origin>; problems: string[] } {
  const problems: string[] = []
  const file = rest.file ?? env.WAFERMON_CONFIG
  const fromFile = file ? readFile(file, problems) : {}
  const known = new Set(Object.values(schemas).flatMap((schema) => Object.keys(schema.shape)))
  for (const name of Object.keys(fromFile)) {
    if (known.has(name)) continue
    const why = notReadYet.includes(name)
      ? `is not read yet; take it out of ${file}`
      : `no such setting (in ${file}); check the spelling`
    problems.push(`${name}: ${why}`)
  }
  const given: Record<string, unknown> = {}
  const origins: Record<string, Origin> = {}
  for (const name of names) {
    const ways: [Origin, unknown][] = [
      ['flag', flags[name]],
      // An empty variable means "not set", as compose files and unit files write it.
      ['environment', env[name] === '' ? undefined : env[name]],
      ['file', fromFile[name] ?? undefined],
    ]
    const [origin, value] = ways.find((way) => way[1] !== undefined) ?? ['default', undefined]
    origins[name] = origin
    if (value !== undefined) given[name] = value
  }
  return { given, origins, problems }
}

function readFile(file: string, problems: string[]): Record<string, unknown> {
  let content: string
  try {
    content = readFileSync(file, 'utf8')
  } catch {
    problems.push(`WAFERMON_CONFIG: cannot read ${file}; give a file that this user may read`)
    return {}
  }
  try {
    const parsed: unknown = parseYaml(content, { logLevel: 'error' })
    if (parsed === null) return {}
    if (typeof parsed === 'object' && !Array.isArray(parsed))
      return parsed as Record<string, unknown>
    problems.push(`${file}: must be a list of NAME: value`)
  } catch {
    problems.push(`${file}: is not YAML; write one NAME: value a line`)
  }
  return {}
}

function shownValue(
  schema: z.ZodObject,
  given: Record<string, unknown>,
  issue: { path: PropertyKey[] },
): string {
  const name = String(issue.path[0])
  if (!(name in given)) return ' (not set)'
  return isSecret(schema, name) ? '' : `; got ${shown(given[name])}`
}

function shown(value: unknown): string {
  return typeof value === 'object' ? 'a list or a map' : withoutUser(JSON.stringify(value))
}

/** Whether a setting must never be printed. */
export function isSecret(schema: z.ZodObject, name: string): boolean {
  const setting = schema.shape[name] as z.ZodType | undefined
  return secretOf(setting)
}

function secretOf(setting: z.ZodType | undefined): boolean {
  if (!setting) return false
  if (setting.meta()?.secret === true) return true
  return setting instanceof z.ZodOptional || setting instanceof z.ZodDefault
    ? secretOf(setting.unwrap() as z.ZodType)
    : false
}
