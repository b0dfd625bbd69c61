import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readdirSync } from 'node:fs'
import net from 'node:net'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { manifestPath } from '../../src/archive/layout.ts'
import { toMicros } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'
import { freshFolder, program, startRole } from '../support/processes.ts'
import { dayAt, duck, eventAt, parquet, run } from './support.ts'

/* The archiver as a process, what can be done to it, and what it has to leave behind. */

export const some = (n: number, day = 13) =>
  Array.from({ length: n }, (_, i) => eventAt(i, {}, day))

/** Looks again and again, so that no test waits for an hour. */
export const often = { ARCHIVE_INTERVAL_HOURS: '0.001' }

/** @param dir empty for a place that `more` names */
export function archiver(
  t: TestContext,
  url: string,
  dir: string,
  more: Record<string, string> = {},
) {
  const folder = dir === '' ? {} : { ARCHIVE_DIR: dir }
  return startRole(t, 'archiver', { DATABASE_URL: url, ...folder, ...often, ...more })
}

export type Health = { code: number; status: string; trouble?: string; [detail: string]: unknown }

export async function health({ url }: { url: string }): Promise<Health> {
  const response = await fetch(`${url}/v1/healthz`)
  return { ...((await response.json()) as Health), code: response.status }
}

/** True once it has looked at everything. */
export const hadRound = async (role: { url: string }) => (await health(role)).last_run_at !== null

export const hasManifest = (dir: string, day = 13, site = 'fab1', number = 1) =>
  existsSync(join(dir, manifestPath(dayAt(day, site), number)))

/** Names in a folder; none when it is not there. */
export const names = (path: string) => (existsSync(path) ? readdirSync(path) : [])

type Verified = { days: { day: string; rows: unknown }[]; problems: { problem: string }[] }

/** The output of `wafermon archive verify --deep` for a folder, or a bucket. */
export function verify(dir: string, more: Record<string, string> = {}): Verified {
  const args = [program, 'archive', 'verify', '--deep', '--json', '--dir', dir]
  try {
    return JSON.parse(
      execFileSync(process.execPath, args, { encoding: 'utf8', env: { ...process.env, ...more } }),
    )
  } catch (error) {
    return JSON.parse((error as { stdout: string }).stdout)
  }
}

/** The keys and times of all raw events, as the archive has them and as the database does. */
export async function bothSides(store: Store, dir: string) {
  const archived = await duck(
    `select idempotency_key as key, epoch_us(event_at)::varchar as us from ${parquet(dir, 'event')} order by 1`,
  )
  const hot = await run(store, 'select idempotency_key::text as key, at from event order by 1')
  return {
    archived: archived.map(({ key, us }) => `${key} ${us}`),
    hot: hot.map(({ key, at }) => `${key} ${toMicros(String(at))}`),
  }
}

/** Rows on record, of all kinds. */
export async function rowsNoted(store: Store): Promise<number> {
  const [row] = await run(store, 'select coalesce(sum(rows), 0)::int as n from archive_file')
  return Number(row?.n)
}

/** A disk of its own, of this size. Only root can mount one. */
export function smallDisk(t: TestContext, size: string): string {
  const dir = freshFolder()
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${size}`, 'tmpfs', dir])
  // Lazily: what runs in it has not stopped yet.
  t.after(() => execFileSync('umount', ['-l', dir]))
  return dir
}

/** Changes a disk of {@link smallDisk}: `ro`, `rw`, `size=64m`. */
export const remount = (dir: string, how: string) =>
  execFileSync('mount', ['-o', `remount,${how}`, dir])

/** A way to the database that can be shut: connections break, new ones are refused. */
export async function doorTo(t: TestContext, url: string) {
  const target = new URL(url)
  const folder = target.searchParams.get('host')
  const to = folder
    ? { path: `${folder}/.s.PGSQL.${target.port || 5432}` }
    : { host: target.hostname, port: Number(target.port || 5432) }
  const open = new Set<net.Socket>()
  /** Bytes that may still come out of the database. */
  let left = Number.POSITIVE_INFINITY
  const server = net.createServer((near) => {
    const far = net.connect(to as net.NetConnectOpts)
    far.on('data', (bytes) => {
      left -= bytes.length
      if (left < 0) shut()
    })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      open.add(one)
      one.pipe(other)
      one.on('error', () => {})
      one.on('close', () => other.destroy())
    }
  })
  const shut = () => {
    server.close()
    for (const socket of open) socket.destroy()
  }
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  t.after(shut)
  target.searchParams.delete('host')
  target.hostname = '127.0.0.1'
  target.port = String(port)
  const reopen = () => {
    left = Number.POSITIVE_INFINITY
    server.listen(port, '127.0.0.1')
    return once(server, 'listening')
  }
  const shutAfter = (bytes: number) => {
    left = bytes
  }
  return { url: target.href, shut, shutAfter, isShut: () => !server.listening, open: reopen }
}
