import type { Logger } from 'pino'
import { sleep } from '../../platform/backoff.ts'
import { stalledS } from '../../platform/effect.ts'
import { HttpClient } from '../../platform/http-client.ts'
import { HttpFailure } from '../../platform/http-failure.ts'

/** How often each role is asked, and how long it has for the answer. Milliseconds. */
const everyMs = 1000
const timeoutMs = 3000

export type Watched = { name: string; url: string }

/**
 * Asks every role for its health, until the signal aborts. One that runs and does not work, because it
 * stands still or says so itself, is named in the log; so is its return. One that ends is the
 * supervisor's.
 */
export function watchRoles(roles: readonly Watched[], log: Logger, signal: AbortSignal): void {
  for (const role of roles) void watchRole(role, log, signal)
}

async function watchRole({ name, url }: Watched, log: Logger, signal: AbortSignal): Promise<void> {
  const client = new HttpClient({ baseUrl: url, timeoutMs, maxBytes: 1_000_000 })
  let wellAt = performance.now()
  let told = false
  while (!signal.aborted) {
    const why = await explainIdle(client, signal)
    if (why === undefined) {
      wellAt = performance.now()
      if (told) log.warn({ role: name }, 'role works again')
      told = false
    } else if (!told && !signal.aborted && performance.now() - wellAt >= stalledS * 1000) {
      log.warn({ role: name, why }, 'role does not work')
      told = true
    }
    await sleep(everyMs, signal)
  }
  client.close()
}

/** The reason why a role does not work; undefined when it does. */
async function explainIdle(client: HttpClient, signal: AbortSignal): Promise<string | undefined> {
  try {
    const answer = await client.ask({ path: '/v1/healthz' }, signal)
    if (answer.ok) return undefined
    const { trouble } = JSON.parse(answer.body.toString('utf8')) as { trouble?: unknown }
    return typeof trouble === 'string' ? trouble : `its health is ${answer.status}`
  } catch (error) {
    const { message } = error as Error
    return error instanceof HttpFailure ? `it ${message}` : message
  }
}
