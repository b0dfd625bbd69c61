import type { Delivery, Sink, Verdict } from '../../core/delivery.ts'
import { toJudged } from '../../core/delivery.ts'
import { must } from '../../core/must.ts'
import { HttpClient } from '../../platform/http-client.ts'
import { explainNoAnswer, readTls } from '../http.ts'
import type { SinkContext } from '../kind.ts'
import { type Item, isRefusal, toItem } from './bulk.ts'
import { install, readDistribution } from './install.ts'
import { judge } from './judge.ts'
import type { Settings } from './settings.ts'

/** Maximum size of an answer, in bytes: 1000 items with long reasons. */
const maxBytes = 16 * 2 ** 20

export function openElk(settings: Settings, { log }: SinkContext): Sink {
  const client = new HttpClient({
    baseUrl: settings.elasticsearch_url,
    timeoutMs: settings.timeout * 1000,
    maxBytes,
    maxRetryAfterMs: 3_600_000,
    tls: readTls(settings),
    headers: authorize(settings),
  })
  let isInstalled = false

  async function send(items: readonly Item[], signal: AbortSignal): Promise<Delivery | Verdict[]> {
    if (!isInstalled) {
      const failure = await install(client, settings, log, signal)
      if (failure) return failure
      isInstalled = true
    }
    const sent = items.flatMap((item) => (isRefusal(item) ? [] : item))
    const body = sent.map(({ lines }) => lines).join('')
    const headers = { 'content-type': 'application/x-ndjson' }
    const answer = await client.ask({ method: 'POST', path: '/_bulk', headers, body }, signal)
    const judged = judge(
      answer,
      sent.map(({ id }) => id),
    )
    return judged.kind === 'items' ? judged.verdicts : judged
  }

  return {
    async deliver(batch, signal) {
      const items = batch.map((event) => toItem(event, settings.index_prefix))
      try {
        const isEmpty = items.every(isRefusal)
        const answer = isEmpty ? [] : await send(items, signal)
        if (!Array.isArray(answer)) return answer
        return toJudged(batch, withRefusals(items, answer))
      } catch (error) {
        return explainNoAnswer(error as Error)
      }
    },
    async probe(signal) {
      try {
        const { status, ok, body } = await client.ask({ path: '/' }, signal)
        if (!ok) return `it answered ${status}`
        return readDistribution(String(body)) ? undefined : 'it is not Elasticsearch or OpenSearch'
      } catch (error) {
        return explainNoAnswer(error as Error).reason
      }
    },
    close: () => client.close(),
  }
}

function authorize({ username, password, api_key }: Settings): Record<string, string> {
  if (api_key !== undefined) return { authorization: `ApiKey ${api_key}` }
  if (username === undefined) return {}
  const pair = Buffer.from(`${username}:${password}`).toString('base64')
  return { authorization: `Basic ${pair}` }
}

/** Our own refusals, and the verdicts on the rest, in the order of the batch. */
function withRefusals(items: readonly Item[], verdicts: readonly Verdict[]): Verdict[] {
  const given = verdicts.values()
  return items.map((item) =>
    isRefusal(item) ? item : must(given.next().value, 'there is a verdict on each document'),
  )
}
