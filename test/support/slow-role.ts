import { Hono } from 'hono'
import { listen } from '../../src/platform/listen.ts'
import { runRole, type Start } from '../../src/platform/run-role.ts'
import { type SharedConfig, sharedSettings } from '../../src/platform/settings/shared.ts'

/*
 * A role whose start takes until it is asked to stop, for tests. Arguments: what it does then (`listens`,
 * `fails`), and when: `soon`, `late` (everything that it had opened is closed by then), or `unasked`.
 */

const [what, when] = process.argv.slice(2)

const start: Start<SharedConfig> = async (_, { life }) => {
  life.onStop('what was opened first', () => process.send?.({ closed: true }))
  process.send?.({ starting: true })
  if (when !== 'unasked') {
    await new Promise((done) => life.signal.addEventListener('abort', done))
    if (when === 'late') await life.stop(1)
  }
  if (what === 'fails') throw new Error('what it needed is closed already')
  return { url: await listen(new Hono(), { host: '127.0.0.1', port: 0 }, life) }
}

const config = sharedSettings.parse({ JSON_LOGS: 'true' })
try {
  await runRole('slow', () => ({ config, warnings: [] }), false, start)
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
