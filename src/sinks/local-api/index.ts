import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import type { Delivery, Failure, Outgoing, Sink } from '../../core/delivery.ts'
import { HttpClient } from '../../platform/http-client.ts'
import { HttpFailure } from '../../platform/http-failure.ts'
import { defineSink, type SinkContext } from '../kind.ts'
import { judge } from './judge.ts'
import { makeReport } from './report.ts'
import { type Settings, settings } from './settings.ts'

/** The local API of the site. */
export const localApi = defineSink({
  type: 'local_api',
  about: 'The local API of the site, by `POST /v1/ingest/events:batch`.',
  settings,
  // Well under what the other side accepts by default.
  limits: { events: 10_000, bytes: 4 * 2 ** 20 },
  whenFull: 'refuse new events',
  open: openLocalApi,
})

/** Maximum size of an answer, in bytes; a batch of 10,000 refusals fits. */
const maxBytes = 8 * 2 ** 20

function openLocalApi({ base_url, token, timeout_s }: Settings, { log }: SinkContext): Sink {
  const warnUnstamped = atMostHourly(() =>
    log.warn(
      'the local API drops the stamps of this spool, so that it sees no gaps: give LOCAL_API_TOKEN the scope forward',
    ),
  )
  const client = new HttpClient({
    baseUrl: base_url,
    timeoutMs: timeout_s * 1000,
    maxBytes,
    headers: {
      'content-type': 'application/json',
      'content-encoding': 'zstd',
      ...(token ? { authorization: `Bearer ${token}` } : {}),
    },
  })
  const path = '/v1/ingest/events:batch'
  return {
    async deliver(batch, signal): Promise<Delivery> {
      try {
        const body = await compress(batch)
        const answer = await client.ask({ method: 'POST', path, body }, signal)
        if (answer.status === 200 && answer.body.includes(unstamped)) warnUnstamped()
        return judge(answer, batch)
      } catch (error) {
        return explainNoAnswer(error as Error)
      }
    },
    report: makeReport({ base_url, token, timeout_s }),
  }
}

/** In an answer to a token without the scope `forward`. */
const unstamped = '"stamps":"ignored"'

function atMostHourly(say: () => void): () => void {
  let said = -Infinity
  return () => {
    if (performance.now() - said < 3_600_000) return
    said = performance.now()
    say()
  }
}

/** Why there is no answer. */
function explainNoAnswer(error: Error): Failure {
  if (!(error instanceof HttpFailure)) {
    return { kind: 'failed', reason: `it cannot be reached (${error.message})` }
  }
  const permanent = error.permanent ? { permanent: true } : {}
  return { kind: 'failed', reason: `it ${error.message}`, ...permanent }
}

const zstd = promisify(zstdCompress)
const level3 = { params: { [constants.ZSTD_c_compressionLevel]: 3 } }

const compress = (batch: readonly Outgoing[]) =>
  zstd(`[${batch.map((event) => event.body).join(',')}]`, level3)
