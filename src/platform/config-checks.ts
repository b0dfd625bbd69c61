import { accessSync, constants } from 'node:fs'
import { resolve } from 'node:path'
import { withoutUser } from './settings.ts'

/** What no setting alone can tell. */
export function crossChecks(config: Record<string, unknown>): string[] {
  const problems: string[] = []
  const both = (a: string, b: string) => (config[a] === undefined) !== (config[b] === undefined)
  if (both('TLS_CERT', 'TLS_KEY')) problems.push('TLS_CERT, TLS_KEY: set both or none')
  if (config.TLS_CA !== undefined && config.TLS_CERT === undefined) {
    problems.push('TLS_CA: needs TLS_CERT and TLS_KEY as well')
  }
  if (config.LOCAL_API && config.CENTRAL_API) {
    problems.push('LOCAL_API, CENTRAL_API: set one of them, not both')
  }
  const ordered = (low: string, high: string) => {
    if (Number(config[low]) > Number(config[high])) {
      problems.push(`${low}: must not be over ${high} (${config[low]} > ${config[high]})`)
    }
  }
  ordered('DB_POOL_MIN_SIZE', 'DB_POOL_MAX_SIZE')
  ordered('QUERY_DEFAULT_LIMIT', 'QUERY_MAX_LIMIT')
  ordered('MAX_EVENT_BYTES', 'MAX_BODY_BYTES')
  ordered('FREEZE_AFTER_HOURS', 'RETENTION_HOURS')
  return problems
}

/** Files that a role reads when it starts: told with the rest, not one by one later. */
export function unreadable(config: Record<string, unknown>): string[] {
  const remedies = {
    TOKENS_FILE: 'make it with: wafermon token new --scope read --file FILE',
    TLS_CERT: 'give a PEM file that this user may read',
    TLS_KEY: 'give a PEM file that this user may read',
    TLS_CA: 'give a PEM file that this user may read',
  }
  return Object.entries(remedies).flatMap(([name, remedy]) => {
    const file = config[name]
    if (typeof file !== 'string' || mayRead(file)) return []
    return [`${name}: cannot read ${withoutUser(file)}; ${remedy}`]
  })
}

function mayRead(file: string): boolean {
  try {
    accessSync(file, constants.R_OK)
    return true
  } catch {
    return false
  }
}

/** Settings of what is not built yet. Nobody must take them for read. */
export const notReadYet: readonly string[] = [
  ...['S3_BUCKET', 'S3_PREFIX', 'S3_ENDPOINT'],
  ...['ALERT_WEBHOOK_URL', 'SLACK_WEBHOOK_URL', 'EMAIL_API_URL', 'SMTP_URL', 'ALERT_EMAIL_TO'],
  ...['INTEGRATIONS_CONFIG', 'CACHE_TTL_S'],
]

/** What an operator should see, but what stops nothing. */
export function warningsOf(
  config: Record<string, unknown>,
  env: Record<string, string | undefined>,
): string[] {
  const warnings = notReadYet
    .filter((name) => env[name])
    .map((name) => `${name}: is not read yet and has no effect; take it out of the environment`)
  const collector = String(config.OTLP_ENDPOINT ?? env.OTEL_EXPORTER_OTLP_ENDPOINT)
  if (config.ENABLE_TRACING && URL.canParse(collector) && new URL(collector).port === '4317') {
    warnings.push('OTLP_ENDPOINT: port 4317 is OTLP over gRPC; traces go over HTTP, use port 4318')
  }
  if (config.SPOOL_DIR && `${resolve(String(config.SPOOL_DIR))}/`.startsWith('/tmp/')) {
    warnings.push('SPOOL_DIR: lies in /tmp, which a reboot empties; use a state directory')
  }
  return warnings
}
