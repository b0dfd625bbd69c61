import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import { problemType } from '../platform/problem.ts'
import { activeTraceparent } from '../platform/tracing.ts'
import type { Delivery, Outgoing, Refused, Sink } from './sink.ts'

const compress = promisify(zstdCompress)
const zstdLevel3 = { params: { [constants.ZSTD_c_compressionLevel]: 3 } }

export type LocalApiSinkOptions = {
  /** Base address of the local API, without a slash at its end. */
  baseUrl: string
  token?: string | undefined
  /** Longest wait for the whole answer, in milliseconds. */
  timeoutMs: number
}

/** Longest answer that is read; a batch of 10,000 refusals fits. */
const maxAnswerBytes = 8 * 2 ** 20

type RejectedItem = { index: number; field: string; detail: string; retryable: boolean }

/**
 * The local API of the site.
 *
 * Its answer is believed only as far as it adds up: a 200 counts when it speaks of exactly as many
 * events as were sent. Anything else (an outage, a proxy's page, a wrong token, half an answer) is
 * a failure to be retried, and never a reason to set an event aside.
 */
export function localApiSink({ baseUrl, token, timeoutMs }: LocalApiSinkOptions): Sink {
  const url = `${baseUrl}/v1/ingest/events:batch`
  return {
    name: 'local-api',
    async deliver(batch, signal) {
      try {
        const body = await compress(`[${batch.map((event) => event.body).join(',')}]`, zstdLevel3)
        const response = await fetch(url, {
          method: 'POST',
          body,
          headers: headersOf(token),
          redirect: 'error',
          signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
        })
        return judge(response, await readText(response), batch)
      } catch (error) {
        return { kind: 'failed', reason: reasonOf(error as Error) }
      }
    },
  }
}

function headersOf(token: string | undefined): Record<string, string> {
  const traceparent = activeTraceparent()
  return {
    'content-type': 'application/json',
    'content-encoding': 'zstd',
    ...(token ? { authorization: `Bearer ${token}` } : {}),
    ...(traceparent ? { traceparent } : {}),
  }
}

async function readText(response: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of response.body ?? []) {
    size += chunk.byteLength
    if (size > maxAnswerBytes) throw new Error('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function judge(response: Response, text: string, batch: readonly Outgoing[]): Delivery {
  if (response.status === 200) return judgeTaken(text, batch)
  if (response.status === 413) return tooLarge(text, batch)
  if (response.status === 422 || response.status === 400) return refusedWhole(text, batch)
  const reason = `it answered ${response.status}${hintOf(response.status)}`
  const retryAfterS = Number(response.headers.get('retry-after'))
  return retryAfterS > 0
    ? { kind: 'failed', reason, retryAfterMs: Math.min(retryAfterS, 300) * 1000 }
    : { kind: 'failed', reason }
}

const hintOf = (status: number) =>
  status === 401 || status === 403
    ? ': check LOCAL_API_TOKEN'
    : status === 404
      ? ': check LOCAL_API_BASE'
      : ''

/**
 * A batch can be made smaller; a single event that is too large can only be set aside, and only when
 * it is our own API that says so: a proxy with a small limit must not empty the spool.
 */
function tooLarge(text: string, batch: readonly Outgoing[]): Delivery {
  if (batch.length > 1) return { kind: 'too_large' }
  if (!ownProblem(text)) {
    return { kind: 'failed', reason: 'it answered 413 to one event, and not by its own words' }
  }
  const detail = 'larger than the local API accepts (413)'
  return taken(batch, [{ seq: batch[0]!.seq, field: '', detail }])
}

/** A problem document of our own API; undefined when the answer is somebody else's. */
function ownProblem(text: string) {
  const problem = parse(text) as { type?: unknown; detail?: unknown; field?: unknown } | undefined
  const own = typeof problem?.type === 'string' && problem.type.startsWith(problemType)
  return own ? problem : undefined
}

/**
 * Our own API refused the whole request, which it does not do for one bad event among good ones. So
 * offer less, down to one event; only then, and only when the answer is a problem document of ours,
 * the event is refused. A proxy that answers 400 to everything must not empty the spool.
 */
function refusedWhole(text: string, batch: readonly Outgoing[]): Delivery {
  const problem = ownProblem(text)
  if (!problem) {
    return { kind: 'failed', reason: 'it refused a batch with an answer that is not its own' }
  }
  if (batch.length > 1) return { kind: 'too_large' }
  const field = typeof problem.field === 'string' ? problem.field : ''
  return taken(batch, [{ seq: batch[0]!.seq, field, detail: String(problem.detail) }])
}

function judgeTaken(text: string, batch: readonly Outgoing[]): Delivery {
  const answer = parse(text) as
    | { total?: unknown; success?: unknown; failed?: unknown; rejected?: unknown }
    | undefined
  const items = readRejected(answer?.rejected, batch.length)
  const addsUp =
    answer?.total === batch.length &&
    items !== undefined &&
    answer.failed === items.length &&
    answer.success === batch.length - items.length
  if (!addsUp) {
    return {
      kind: 'failed',
      reason: `it answered 200, but not about the ${batch.length} events sent`,
    }
  }
  return verdicts(items, batch)
}

/** Events from the first one that may be taken later are offered again, so that order is kept. */
function verdicts(items: readonly RejectedItem[], batch: readonly Outgoing[]): Delivery {
  const firstRetry = Math.min(batch.length, ...items.filter((i) => i.retryable).map((i) => i.index))
  if (firstRetry === 0)
    return { kind: 'failed', reason: 'it cannot take more events at the moment' }
  const refused = items
    .filter((item) => item.index < firstRetry)
    .map(({ index, field, detail }) => ({ seq: batch[index]!.seq, field, detail }))
  return taken(batch.slice(0, firstRetry), refused)
}

const taken = (batch: readonly Outgoing[], refused: readonly Refused[]): Delivery => ({
  kind: 'taken',
  upTo: batch.at(-1)!.seq,
  refused,
})

/** The list of refusals, or undefined when it is not one that speaks of this batch. */
function readRejected(value: unknown, length: number): RejectedItem[] | undefined {
  if (!Array.isArray(value)) return undefined
  const seen = new Set<number>()
  const items: RejectedItem[] = []
  for (const item of value as Record<string, unknown>[]) {
    const index = item?.index
    if (!Number.isInteger(index) || (index as number) < 0 || (index as number) >= length)
      return undefined
    seen.add(index as number)
    items.push({
      index: index as number,
      field: String(item.field ?? ''),
      detail: String(item.detail ?? ''),
      retryable: item.retryable === true,
    })
  }
  return seen.size === items.length ? items : undefined
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function reasonOf(error: Error): string {
  if (error.name === 'TimeoutError') return 'it did not answer in time'
  const cause = error.cause as { code?: string } | undefined
  return cause?.code
    ? `it cannot be reached (${cause.code})`
    : `it cannot be reached (${error.message})`
}
