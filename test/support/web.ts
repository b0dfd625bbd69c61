import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { Lifecycle } from '../../src/platform/lifecycle.ts'
import { Metrics } from '../../src/platform/metrics.ts'
import { readConfig } from '../../src/roles/settings.ts'
import { startWeb } from '../../src/roles/web.ts'

/** The web role in this process, on a free port, over an API. */
export async function startWebFor(
  t: TestContext,
  api: string,
  env: Record<string, string> = {},
): Promise<{ url: string; stop: () => Promise<void>; metrics: Metrics }> {
  const log = pino({ level: process.env.TEST_LOG ?? 'silent' })
  const life = new Lifecycle(log)
  const metrics = new Metrics()
  const over = env.CENTRAL_API === undefined ? { LOCAL_API: api, DEFAULT_SITE: 'fab1' } : {}
  const readAgain = () => readConfig('web', { env: { ...over, PORT: '0', ...env } })
  const { config } = readAgain()
  const { url } = await startWeb(config, { log, life, metrics, insecure: false, readAgain })
  const stop = () => life.stop(30)
  t.after(stop)
  return { url, stop, metrics }
}
