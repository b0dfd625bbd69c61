import { readFileSync } from 'node:fs'
import net from 'node:net'
import postgres from 'postgres'
import { AppError } from '../core/errors.ts'
import { parseText } from '../core/json.ts'
import type { Micros } from '../core/time.ts'

/**
 * How long the server lets a transaction wait for this process, in milliseconds. A process that stops
 * in the middle of one would otherwise keep its locks, and all other replicas waiting.
 */
export const idleInTransactionMs = 2000

/** Values as the types below convert them: times are canonical text, int8 is a number. */
export type Sql = postgres.Sql<{ timestamptz: Micros; plainTime: string; int8: number | bigint }>
export type TransactionSql = postgres.TransactionSql<{
  timestamptz: Micros
  plainTime: string
  int8: number | bigint
}>

export type DriverOptions = {
  /** Shown in pg_stat_activity. */
  name: string
  max: number
  /** Statement timeout in milliseconds; 0 is no limit. */
  statementTimeoutMs?: number | undefined
  /** Never exchange connections for fresh ones: for those that hold an advisory lock. */
  keep?: boolean | undefined
  /** More settings of the session. */
  session?: Record<string, string | number> | undefined
  /** Called with every new socket, so that dead ones can be found. */
  onSocket?: ((socket: net.Socket) => void) | undefined
  /** Called when a connection is closed, or could not be made. */
  onClose?: (() => void) | undefined
  /** Called with every notification that a connection receives. */
  onNotify?: (() => void) | undefined
}

/**
 * Makes the driver's pool for `postgres://user:password@host:port/database`. A socket is written
 * `?host=/folder`, which the driver itself does not understand. TLS is `sslmode=require` (not
 * verified) or `verify-full`, with `sslrootcert=FILE`. Other parameters become settings of the
 * session, but for those that we rely on.
 *
 * Nothing is connected yet.
 *
 * @throws AppError invalid, when the URL cannot be read; it is not repeated, for it may hold a
 * password
 */
export function openDriver(url: string, options: DriverOptions): Sql {
  const target = readUrl(url)
  const given = {
    host: target.host,
    port: target.port,
    database: target.database,
    username: target.user,
    password: target.password,
    ssl: target.ssl,
    // An unset one would be read from the environment by the driver.
    target_session_attrs: undefined,
    max: options.max,
    // 1 is the least that works (with 0 the driver's begin() fails), and the gate in connect.ts
    // keeps a connection to one piece of work at a time anyway.
    max_pipeline: 1,
    connect_timeout: 5,
    // The driver's own waits up to 20 s before it tries again once a server was away.
    backoff: (attempt: number) => Math.min(0.5, 0.05 * 2 ** Math.min(attempt, 8)),
    ...(options.keep ? { max_lifetime: null, idle_timeout: undefined } : {}),
    onnotice: () => {},
    onclose: () => options.onClose?.(),
    onnotify: () => options.onNotify?.(),
    socket: () => openSocket(target, options.onSocket),
    connection: {
      ...target.session,
      application_name: `wafermon ${options.name}`,
      TimeZone: 'UTC',
      DateStyle: 'ISO, MDY',
      // Both cost more than they bring for statements of a few milliseconds.
      jit: 'off',
      // Partial indexes are found only when the planner sees the values.
      plan_cache_mode: 'force_custom_plan',
      idle_in_transaction_session_timeout: idleInTransactionMs,
      ...(options.statementTimeoutMs ? { statement_timeout: options.statementTimeoutMs } : {}),
      ...options.session,
    },
    // Columns only: postgres.camel and toCamel alone would rename the keys inside users' JSON too.
    transform: { column: { from: postgres.toCamel, to: postgres.fromCamel } },
    types: valueTypes,
  }
  // The driver's types have no option for a socket and take no readonly lists.
  return postgres(given as object) as unknown as Sql
}

const asIs = (text: string) => text

const valueTypes = {
  timestamptz: { to: 1184, from: [1184], serialize: asIs, parse: canonicalTime },
  plainTime: { to: 1114, from: [1082, 1114], serialize: asIs, parse: asIs },
  json: {
    to: 114,
    from: [114, 3802],
    serialize: JSON.stringify,
    parse: (text: string) => parseText(text),
  },
  int8: { to: 20, from: [20], serialize: String, parse: wholeNumber },
} as const

/**
 * A timestamptz as PostgreSQL prints it with TimeZone UTC and DateStyle ISO
 * (`2026-03-01 12:00:00.5+00`) in our one form; `infinity` and `-infinity` stay as they are.
 */
export function canonicalTime(text: string): Micros {
  if (text.length < 22) return text
  const fraction = text[19] === '.' ? text.slice(20, -3) : ''
  return `${text.slice(0, 10)}T${text.slice(11, 19)}.${fraction.padEnd(6, '0')}Z`
}

function wholeNumber(text: string): number | bigint {
  const n = Number(text)
  return Number.isSafeInteger(n) ? n : BigInt(text)
}

type Target = {
  host: string
  port: number
  /** Full path of the socket, when it is one. */
  path: string | undefined
  database: string | undefined
  user: string | undefined
  password: string | undefined
  ssl: object | 'require' | 'prefer' | false
  session: Record<string, string>
}

function readUrl(text: string): Target {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (!url || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw new AppError(
      'invalid',
      'DATABASE_URL must be postgres://user:password@host:port/database',
    )
  }
  const {
    host: folder,
    sslmode,
    sslrootcert,
    sslcert,
    sslkey,
    ...session
  } = Object.fromEntries(url.searchParams)
  const port = Number(url.port || 5432)
  const host = url.hostname || 'localhost'
  return {
    host: folder?.startsWith('/') ? 'localhost' : (folder ?? host).replace(/^\[|\]$/g, ''),
    port,
    path: folder?.startsWith('/') ? `${folder.replace(/\/$/, '')}/.s.PGSQL.${port}` : undefined,
    database: decodeURIComponent(url.pathname.slice(1)) || undefined,
    user: decodeURIComponent(url.username) || undefined,
    password: decodeURIComponent(url.password) || undefined,
    ssl: tlsOptions({ sslmode, sslrootcert, sslcert, sslkey }, host),
    session,
  }
}

function tlsOptions(given: Record<string, string | undefined>, host: string): Target['ssl'] {
  const { sslmode = given.sslrootcert ? 'verify-full' : 'disable' } = given
  if (sslmode === 'disable' || sslmode === 'allow') return false
  if (sslmode === 'prefer' || sslmode === 'require') return sslmode
  const pem = (file: string | undefined) => (file ? readFileSync(file) : undefined)
  return {
    servername: net.isIP(host) ? undefined : host,
    ca: pem(given.sslrootcert),
    cert: pem(given.sslcert),
    key: pem(given.sslkey),
    ...(sslmode === 'verify-ca' ? { checkServerIdentity: () => undefined } : {}),
  }
}

/**
 * The driver takes a socket that is still connecting, for writes wait. It must not be given a
 * promise that fails: the driver would then lose that place in its pool forever.
 */
function openSocket(target: Target, onSocket: DriverOptions['onSocket']): net.Socket {
  const socket = target.path
    ? net.connect({ path: target.path })
    : net.connect({
        host: target.host,
        port: target.port,
        // Without it every COPY waits 40 ms for a delayed ACK.
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 30_000,
      })
  onSocket?.(socket)
  return Object.assign(socket, { host: target.host, port: target.port })
}
