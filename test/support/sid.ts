import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, until } from './processes.ts'

/* What test/support/sid.sh has unpacked. */

export const sidFolder = join(process.env.WAFERMON_CI_CACHE ?? '/var/cache/wafermon-ci', 'sid')
const script = fileURLToPath(new URL('sid.sh', import.meta.url))

const needs = (what: string, path: string) => ({
  skip: existsSync(join(sidFolder, path))
    ? false
    : `${what} is not there: run test/support/sid.sh install as root`,
})

export const needsProtos = needs('opentelemetry-proto', 'usr/include/opentelemetry/proto')

const libraries = ['-c', 'import cryptography, yaml']
const hasLibraries = () => spawnSync('/usr/bin/python3', libraries).status === 0

/** For groups of tests that deliver to moto. */
export const needsMoto = (() => {
  const moto = needs('moto', 'usr/lib/python3/dist-packages/moto')
  if (moto.skip !== false || hasLibraries()) return moto
  return { skip: 'test/support/sid.sh moto needs python3-cryptography and python3-yaml' }
})()

/** Starts moto, a process of its own. @returns its address, and what ends it */
export async function startMoto(): Promise<{ url: string; stop: () => void }> {
  const port = await freePort()
  const child = spawn(script, ['moto', String(port)], { stdio: 'ignore' })
  const stop = () => void child.kill('SIGKILL')
  process.once('exit', stop)
  const url = `http://127.0.0.1:${port}`
  const isUp = async () => {
    if (child.exitCode !== null) throw new Error(`moto ended with ${child.exitCode}`)
    const answer = await fetch(`${url}/moto-api/`).catch(() => undefined)
    await answer?.arrayBuffer()
    return answer !== undefined
  }
  try {
    await until('moto to answer', isUp, 120_000)
  } catch (error) {
    stop()
    throw error
  }
  return { url, stop }
}
