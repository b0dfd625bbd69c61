import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Holder } from '../../src/platform/lock-file.ts'
import { freePort, launch } from './processes.ts'

/* `wafermon up` of the built program, on ports of its own. */

export type Child = Holder & { name: string }
export type Up = ReturnType<typeof launch> & { dir: string; ports: Ports }
type Ports = Record<
  'sidecar' | 'local-api' | 'archiver' | 'central' | 'web' | 'central-web',
  number
>

export const roles = ['sidecar', 'local-api', 'archiver', 'central', 'web', 'central-web'] as const

export async function choosePorts(): Promise<Ports> {
  const ports = new Set<number>()
  while (ports.size < roles.length) ports.add(await freePort())
  return Object.fromEntries([...ports].map((port, i) => [roles[i], port])) as Ports
}

export const upFlags = (dir: string, ports: Ports) => [
  ...['up', '--dir', dir],
  ...roles.flatMap((role) => [`--${role}-port`, String(ports[role])]),
]

/** Starts everything, and waits until the terminal says where to look. */
export async function startUp(
  dir: string,
  ports: Ports,
  more = ['--no-simulate'],
  env: Record<string, string> = {},
): Promise<Up> {
  const up = launch([...upFlags(dir, ports), ...more], { HOST: '192.0.2.1', PGPORT: '1', ...env })
  const failed = up.ended.then(() => assert.fail(`up ended: ${up.logs()}\n${roleLogs(dir)}`))
  await Promise.race([up.ready, failed])
  return { ...up, dir, ports }
}

export const tokenOf = ({ dir }: Pick<Up, 'dir'>) =>
  `Bearer ${readFileSync(join(dir, 'up.token'), 'utf8').trim()}`

export const childrenOf = (dir: string): Child[] =>
  JSON.parse(readFileSync(join(dir, 'up.children'), 'utf8'))

function roleLogs(dir: string): string {
  const names = ['embedded-postgres', 'local-api', 'sidecar', 'archiver', 'central', 'web']
  const files = names.map((name) => join(dir, 'logs', `${name}.log`)).filter(existsSync)
  return files.map((file) => `${file}: ${readFileSync(file, 'utf8').slice(-600)}`).join('\n')
}

export const pidOf = (dir: string, name: string) =>
  childrenOf(dir).find((child) => child.name === name)?.pid
