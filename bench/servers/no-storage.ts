import { ingestRoutes } from '../../src/api/ingest.ts'
import { mountRoutes } from '../../src/api/route.ts'
import { toIngestLimits } from '../../src/api/settings.ts'
import { StartTimes } from '../../src/core/start-times.ts'
import { Auth } from '../../src/platform/auth.ts'
import { createApp, listen } from '../../src/platform/http.ts'
import { runRole } from '../../src/platform/run-role.ts'
import { readConfig } from '../../src/roles/settings.ts'

/*
 * The sidecar without its spool: the same server, the same checks, the same answers, and nothing is
 * kept. What is left between the two is the price of durability.
 */

const settings = readConfig('sidecar', { env: process.env })

await runRole('sidecar', settings, false, async (config, { log, life, metrics }) => {
  const started = new StartTimes()
  const app = createApp({ log, metrics })
  const auth = new Auth({ tokensFile: undefined, anonymous: [] })
  const routes = ingestRoutes({
    accept: async (items) =>
      items.map(({ event }) => {
        started.see(event)
        return { kind: 'stored' }
      }),
    metrics,
    startOf: (id) => started.startOf(id),
    limits: toIngestLimits(config),
  })
  mountRoutes(app, auth, routes)
  return { url: await listen(app, { host: config.HOST, port: config.PORT }, life) }
})
