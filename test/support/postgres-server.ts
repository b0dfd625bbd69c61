import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbedded } from '../../src/embedded-postgres/server.ts'
import { createLog } from '../../src/platform/log.ts'

/*
 * A process of its own for the database of a test run: it takes the server down and its folder
 * away as soon as the run is over, however that ended, because its channel closes then.
 */

const log = createLog({ service: 'test-database', level: 'warn', json: true })
const dir = await mkdtemp(join(tmpdir(), 'wafermon-test-'))
const gone = new AbortController()
process.once('disconnect', () => gone.abort())
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => gone.abort())

try {
  // The tests of durability start servers of their own; here a sync only takes time.
  const settings = { fsync: 'off', full_page_writes: 'off', max_connections: '300' }
  const server = await startEmbedded({ dir, log, settings, signal: gone.signal })
  process.send?.({ url: server.url })
  if (!gone.signal.aborted) {
    await new Promise((done) => gone.signal.addEventListener('abort', done, { once: true }))
  }
  await server.stop()
} catch (error) {
  if (!gone.signal.aborted) throw error
} finally {
  await rm(dir, { recursive: true, force: true })
  if (process.connected) process.disconnect?.()
}
