import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import type { Delivery, Outgoing, Sink } from '../../core/delivery.ts'
import { HttpClient } from '../../platform/http-client.ts'
import { explainNoAnswer, probeHttp, readTls } from '../http.ts'
import type { SinkContext } from '../kind.ts'
import { judge } from './judge.ts'
import { makeReport } from './report.ts'
import type { Settings } from './settings.ts'

/** Maximum size of an answer, in bytes; a batch of 10,000 refusals fits. */
const maxBytes = 8 * 2 ** 20

export function openLocalApi(settings: Settings, { log }: SinkContext): Sink {
  const { base_url, token, timeout } = settings
  const warnUnstamped = atMostHourly(() =>
    log.warn(
      'the local API drops the stamps of this spool, so that it sees no gaps: give LOCAL_API_TOKEN the scope forward',
    ),
  )
  const client = new HttpClient({
    baseUrl: base_url,
    timeoutMs: timeout * 1000,
    maxBytes,
    tls: readTls(settings),
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
    report: makeReport(settings),
    probe: (signal) => probeHttp(client, { path: '/v1/healthz' }, signal),
    close: () => client.close(),
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

const zstd = promisify(zstdCompress)
const level3 = { params: { [constants.ZSTD_c_compressionLevel]: 3 } }

const compress = (batch: readonly Outgoing[]) =>
  zstd(`[${batch.map((event) => event.body).join(',')}]`, level3)
