import { promisify } from 'node:util'
import { constants, zstdCompress } from 'node:zlib'
import type { Delivery, Outgoing, Sink } from '../../core/delivery.ts'
import { activeTraceparent } from '../../platform/tracing.ts'
import { defineSink } from '../kind.ts'
import { explainNoAnswer, post } from './exchange.ts'
import { judge } from './judge.ts'
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

function openLocalApi({ base_url, token, timeout_s }: Settings): Sink {
  const url = `${base_url}/v1/ingest/events:batch`
  return {
    async deliver(batch, signal): Promise<Delivery> {
      try {
        const deadline = AbortSignal.timeout(timeout_s * 1000)
        const answer = await post({
          url,
          headers: headersFor(token),
          body: await compress(batch),
          signal: AbortSignal.any([signal, deadline]),
        })
        return judge(answer, batch)
      } catch (error) {
        return { kind: 'failed', reason: explainNoAnswer(error as Error) }
      }
    },
  }
}

const zstd = promisify(zstdCompress)
const level3 = { params: { [constants.ZSTD_c_compressionLevel]: 3 } }

const compress = (batch: readonly Outgoing[]) =>
  zstd(`[${batch.map((event) => event.body).join(',')}]`, level3)

function headersFor(token: string | undefined): Record<string, string> {
  const traceparent = activeTraceparent()
  return {
    'content-type': 'application/json',
    'content-encoding': 'zstd',
    ...(token ? { authorization: `Bearer ${token}` } : {}),
    ...(traceparent ? { traceparent } : {}),
  }
}
