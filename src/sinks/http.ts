import { readFileSync } from 'node:fs'
import type { Failure } from '../core/delivery.ts'
import type { HttpAnswer, HttpClient, HttpRequest, TlsOptions } from '../platform/http-client.ts'
import { HttpFailure } from '../platform/http-failure.ts'
import type { HttpSettings } from './http-settings.ts'

/* What sinks that speak HTTP share. */

/** The TLS of a client, from the files that the settings name. @throws when one cannot be read */
export function readTls({ ca, cert, key, verify_ssl }: HttpSettings): TlsOptions {
  const read = (file: string | undefined) => (file === undefined ? undefined : readFileSync(file))
  return {
    ...(ca ? { ca: read(ca) } : {}),
    ...(cert ? { cert: read(cert), key: read(key) } : {}),
    ...(verify_ssl ? {} : { rejectUnauthorized: false }),
  }
}

/** Why there is no answer. */
export function explainNoAnswer(error: Error): Failure {
  if (!(error instanceof HttpFailure)) {
    return { kind: 'failed', reason: `it cannot be reached (${error.message})` }
  }
  const permanent = error.permanent ? { permanent: true } : {}
  return { kind: 'failed', reason: `it ${error.message}`, ...permanent }
}

/**
 * What an answer stands for that has no verdicts: the destination is away, or does not let us in.
 *
 * @param hints by status, what to check where waiting does not help
 */
export function explainStatus(
  { status, retryAfterMs }: HttpAnswer,
  hints: Readonly<Record<number, string>>,
): Failure {
  const hint = hints[status]
  return {
    kind: 'failed',
    reason: `it answered ${status}${hint ? `: ${hint}` : ''}`,
    ...(hint ? { permanent: true } : {}),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  }
}

/** Asks for an answer that is not an error. @returns what is wrong */
export async function probeHttp(
  client: HttpClient,
  request: HttpRequest,
  signal: AbortSignal,
  accepts: (status: number) => boolean = (status) => status >= 200 && status < 300,
): Promise<string | undefined> {
  try {
    const { status } = await client.ask(request, signal)
    return accepts(status) ? undefined : `it answered ${status}`
  } catch (error) {
    return explainNoAnswer(error as Error).reason
  }
}

/** The start of what the other side says, on one line and after a colon; empty when it says nothing. */
export function quoteBody(body: Buffer): string {
  const text = toLine(body.subarray(0, 800).toString('utf8'))
  return text === '' ? '' : `: ${text}`
}

/** The start of a text from elsewhere, as one line that can be stored and shown. */
export const toLine = (text: string): string =>
  text
    .slice(0, 800)
    .replaceAll(/[\s\p{Cc}\ufffd]+/gu, ' ')
    .trim()
    .slice(0, 200)
    .toWellFormed()
