import { ingestRoutes } from '../../src/api/ingest.ts'
import { StartedMemory } from '../../src/core/started-memory.ts'
import { Auth } from '../../src/platform/auth.ts'
import { readConfig } from '../../src/platform/config.ts'
import { createApp, listen } from '../../src/platform/http.ts'
import { runRole } from '../../src/platform/run-role.ts'

/*
 * The sidecar without its spool: the same server, the same checks, the same answers, and nothing is
 * kept. What is left between the two is the price of durability.
 */

const settings = readConfig('sidecar', { env: process.env })

await runRole('sidecar', settings, false, async (config, { log, life, metrics }) => {
  const started = new StartedMemory()
  const app = createApp({ log, metrics })
  const routes = ingestRoutes({
    accept: async (items) =>
      items.map(({ event }) => {
        started.see(event)
        return { kind: 'stored' }
      }),
    auth: new Auth({ tokensFile: undefined, anonymous: [] }),
    metrics,
    startOf: (id) => started.startOf(id),
    limits: {
      maxBytes: config.MAX_BODY_BYTES,
      maxDecompressedBytes: config.MAX_DECOMPRESSED_BYTES,
      readTimeoutMs: config.REQUEST_READ_TIMEOUT_S * 1000,
      maxBatchItems: config.MAX_BATCH_ITEMS,
      maxEventBytes: config.MAX_EVENT_BYTES,
      maxSkewS: config.MAX_SKEW_S,
    },
  })
  app.route('/', routes)
  return { url: await listen(app, { host: config.HOST, port: config.PORT }, life) }
})
