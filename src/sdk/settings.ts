export type EmitterOptions = {
  /** The sidecar; by default the environment's `SIDECAR_URL`, else http://127.0.0.1:8000. */
  baseUrl?: string | undefined
  /** Bearer token, if the sidecar requires one; by default the environment's `SIDECAR_TOKEN`. */
  token?: string | undefined
  /** How long one request may take, in milliseconds (5000). */
  timeoutMs?: number | undefined
  /** Maximum retries of an event (unlimited: it is dropped only when memory is full). */
  maxRetries?: number | undefined
  /** False sends every event only once (true). */
  enableRetries?: boolean | undefined
  /** Maximum events held in memory (10,000). */
  maxQueue?: number | undefined
  /** Maximum bytes held in memory (16 MiB). */
  maxQueueBytes?: number | undefined
  /** Maximum events in one request, up to 1000 (200). */
  maxBatch?: number | undefined
  /** How long an event waits for others to share its request, in milliseconds (20). */
  lingerMs?: number | undefined
  /** How long the end of the program may be delayed to deliver the rest, in milliseconds (2000). */
  exitTimeoutMs?: number | undefined
  /** Called once for each kind of problem; by default `process.emitWarning`. */
  warn?: ((message: string) => void) | undefined
}

/** @internal */
export type Settings = {
  /** Where batches go. */
  url: URL
  token: string | undefined
  maxRetries: number
  warn: (message: string) => void
} & typeof defaults

const defaults = {
  timeoutMs: 5000,
  maxQueue: 10_000,
  maxQueueBytes: 16 * 1024 * 1024,
  maxBatch: 200,
  lingerMs: 20,
  exitTimeoutMs: 2000,
}

/** A timer that is to wait longer does not wait at all. Everything else is within what memory can hold. */
export const longestTimerMs = 2 ** 31 - 1
const fallbackUrl = 'http://127.0.0.1:8000'

/** @internal Reads options, and names the invalid ones. Never throws. */
export function settle(options: EmitterOptions): { settings: Settings; bad: string[] } {
  const bad: string[] = []
  const given = readable(options)
  const usable = (name: keyof EmitterOptions, min: number, max: number) => {
    const value = given[name]
    if (typeof value === 'number' && value >= min && value <= max) return value
    if (value !== undefined) bad.push(name)
    return undefined
  }
  const numbers = { ...defaults }
  for (const name of Object.keys(defaults) as (keyof typeof defaults)[]) {
    const least = name.startsWith('max') ? 1 : 0
    numbers[name] =
      usable(name, least, name === 'maxBatch' ? 1000 : longestTimerMs) ?? defaults[name]
  }
  const { token = process.env.SIDECAR_TOKEN, warn } = given
  // Text that cannot be a header would throw at every request.
  const sendable = typeof token === 'string' && /^[\x21-\x7e]+$/.test(token)
  if (token && !sendable) bad.push('token')
  const settings = {
    ...numbers,
    url: readUrl(given.baseUrl ?? process.env.SIDECAR_URL ?? fallbackUrl, bad),
    token: sendable ? token : undefined,
    maxRetries: given.enableRetries === false ? 0 : (usable('maxRetries', 0, Infinity) ?? Infinity),
    warn: typeof warn === 'function' ? warn : (message: string) => process.emitWarning(message),
  }
  return { settings, bad }
}

/** A copy, as reading an option of a strange object may throw. */
function readable(options: EmitterOptions): EmitterOptions {
  try {
    return { ...options }
  } catch {
    return {}
  }
}

function readUrl(base: unknown, bad: string[]): URL {
  const text = String(base)
  const fine = /^https?:/i.test(text) && URL.canParse(text)
  if (!fine) bad.push('baseUrl')
  const url = new URL(fine ? text : fallbackUrl)
  return new URL(`${url.pathname.replace(/\/+$/, '')}/v1/ingest/events:batch`, url)
}
