import type { Logger } from 'pino'
import type { Failure } from '../../core/delivery.ts'
import type { HttpClient } from '../../platform/http-client.ts'
import { explainStatus } from '../http.ts'
import { hints } from './judge.ts'
import type { Settings } from './settings.ts'
import { type Distribution, makePolicy, makeTemplate } from './template.ts'

/**
 * Installs template and policy. A user who may only write goes on without them, and is warned: someone
 * else has to have installed them.
 *
 * @returns why nothing can be sent yet
 */
export async function install(
  client: HttpClient,
  { index_prefix: prefix, retention_days: days }: Settings,
  log: Logger,
  signal: AbortSignal,
): Promise<Failure | undefined> {
  const distribution = await ask(client, signal)
  if (typeof distribution !== 'string') return distribution
  const policy = days === 0 ? undefined : makePolicy(prefix, distribution, days)
  const parts = [
    ...(policy ? [{ ...policy, what: 'the policy' }] : []),
    {
      what: 'the template',
      path: `/_index_template/${prefix}`,
      body: makeTemplate(prefix, distribution, policy && prefix),
    },
  ]
  for (const { what, path, body } of parts) {
    const request = { method: 'PUT', path, body: JSON.stringify(body) } as const
    const answer = await client.ask({ ...request, headers: json }, signal)
    // OpenSearch: a policy of that name is there.
    if (answer.ok || answer.status === 409) continue
    if (answer.status === 429 || answer.status >= 500) return explainStatus(answer, hints)
    log.warn(
      { path, status: answer.status },
      `${what} could not be installed; events are sent without it`,
    )
  }
  return undefined
}

const json = { 'content-type': 'application/json' }

async function ask(client: HttpClient, signal: AbortSignal): Promise<Distribution | Failure> {
  const answer = await client.ask({ path: '/' }, signal)
  // Someone who may write need not be allowed to look.
  if (answer.status === 403) return 'elasticsearch'
  if (!answer.ok) return explainStatus(answer, hints)
  return (
    readDistribution(answer.body.toString('utf8')) ?? {
      kind: 'failed',
      reason: 'it answered GET /, but not as Elasticsearch or OpenSearch do (a proxy?)',
      permanent: true,
    }
  )
}

/** Which of the two an answer is from; undefined when it is from neither. */
export function readDistribution(text: string): Distribution | undefined {
  try {
    const { version } = Object(JSON.parse(text)) as {
      version?: { number?: unknown; distribution?: unknown }
    }
    if (version?.distribution === 'opensearch') return 'opensearch'
    return typeof version?.number === 'string' ? 'elasticsearch' : undefined
  } catch {
    return undefined
  }
}
