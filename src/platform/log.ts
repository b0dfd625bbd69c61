import { type DestinationStream, type Logger, pino, stdTimeFunctions } from 'pino'
import { LineWriter, openStandard } from './line-writer.ts'

export type LogOptions = {
  service: string
  level: string
  /** One JSON object per line; false prints plain text. */
  json: boolean
  /** Fields to put on every line, for example the trace id of the active span. */
  mixin?: () => object
  /** Where lines go; standard output unless a test says otherwise. */
  destination?: DestinationStream
}

/**
 * The log of one role. A line has `event` (a fixed short sentence), `timestamp` (ISO, UTC),
 * `level` (a word), `service`, and then fields in snake_case.
 *
 * Lines are written by ourselves, without waiting and without failing: pino waits for a stalled reader
 * and throws on a full disk, and its transports start a worker from a file path, which a bundle does
 * not have. After lines were dropped, the log says how many.
 */
export function createLog({ service, level, json, mixin, destination }: LogOptions): Logger {
  const options = {
    level,
    base: { service },
    messageKey: 'event',
    errorKey: 'error',
    timestamp: () => stdTimeFunctions.isoTime().replace('"time"', '"timestamp"'),
    formatters: { level: (label: string) => ({ level: label }) },
    ...(mixin ? { mixin } : {}),
  }
  const out = destination ?? new LineWriter(openStandard(1))
  const log = pino(options, json ? out : { write: (line) => out.write(toPlainText(line)) })
  if (out instanceof LineWriter) out.onGap((lines) => log.warn({ lines }, droppedLines))
  return log
}

const droppedLines = 'log lines were dropped: their reader stalled, or the disk was full'

function toPlainText(line: string): string {
  const { timestamp, level, service, event, ...rest } = JSON.parse(line) as Record<string, unknown>
  const fields = Object.entries(rest).map(([name, value]) => `${name}=${shown(value)}`)
  const head = `${timestamp} ${String(level).toUpperCase().padEnd(5)} ${service}  ${event}`
  return `${[head, ...fields].join('  ')}\n`
}

function shown(value: unknown): string {
  if (typeof value === 'string') return /\s/.test(value) ? JSON.stringify(value) : value
  if (value && typeof value === 'object' && 'stack' in value) return String(value.stack)
  return JSON.stringify(value)
}
