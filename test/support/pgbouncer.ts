import { execFileSync, spawn } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePort, freshFolder, until } from './processes.ts'

/* Debian's PgBouncer in front of a test's database. It is unpacked beside the sources, not installed. */

const cache = fileURLToPath(new URL('../../.cache/pgbouncer/', import.meta.url))
const libraries = ['x86_64', 'aarch64']
  .map((cpu) => join(cache, `usr/lib/${cpu}-linux-gnu`))
  .join(':')

function findProgram(): string | undefined {
  for (const path of ['/usr/sbin/pgbouncer', join(cache, 'usr/sbin/pgbouncer')]) {
    if (existsSync(path)) return path
  }
  mkdirSync(cache, { recursive: true })
  try {
    execFileSync(
      'sh',
      [
        '-c',
        'get="apt-get download -q pgbouncer libc-ares2"; $get || { apt-get update -q && $get; } && for deb in *.deb; do dpkg -x "$deb" .; done',
      ],
      { cwd: cache, stdio: 'ignore' },
    )
  } catch {
    return undefined
  }
  return join(cache, 'usr/sbin/pgbouncer')
}

const program = findProgram()
export const needsPgBouncer = {
  skip: program ? false : 'pgbouncer is not installed: apt-get install pgbouncer',
}

/**
 * Starts a PgBouncer for one database. It stops when the test ends.
 *
 * @param settings lines of its configuration
 * @returns the database's address by this way
 */
export async function startPgBouncer(
  t: Pick<TestContext, 'after'>,
  url: string,
  settings: Record<string, string>,
): Promise<string> {
  const target = new URL(url)
  const socketFolder = target.searchParams.get('host') ?? ''
  const database = target.pathname.slice(1)
  const user = decodeURIComponent(target.username)
  const port = await freePort()
  const folder = freshFolder()
  const lines = {
    ...{ listen_addr: '127.0.0.1', listen_port: String(port), unix_socket_dir: '' },
    ...{ auth_type: 'any', ...settings },
  }
  const file = join(folder, 'pgbouncer.ini')
  const behind = `host=${socketFolder || target.hostname} port=${target.port || 5432} user=${user}`
  const password = target.password ? ` password=${decodeURIComponent(target.password)}` : ''
  writeFileSync(
    file,
    [
      '[databases]',
      `${database} = ${behind}${password}`,
      '[pgbouncer]',
      ...Object.entries(lines).map(([name, value]) => `${name} = ${value}`),
      '',
    ].join('\n'),
  )
  // It does not run as root; the owner of the database's socket may connect to that.
  const owner = statSync(socketFolder || folder)
  if (process.getuid?.() === 0) chownSync(folder, owner.uid, owner.gid)
  const ids = process.getuid?.() === 0 ? { uid: owner.uid, gid: owner.gid } : {}
  const child = spawn(program ?? '', [file], {
    ...ids,
    env: { PATH: '/usr/bin:/bin', LD_LIBRARY_PATH: libraries },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const ended = new Promise((done) => child.once('close', done))
  t.after(() => {
    child.kill('SIGINT')
    child.kill('SIGTERM')
    return ended
  })
  await until('PgBouncer to listen', () => {
    if (child.exitCode !== null) throw new Error(`pgbouncer ended:\n${said}`)
    return said.includes('process up')
  })
  target.searchParams.delete('host')
  target.hostname = '127.0.0.1'
  target.port = String(port)
  return target.href
}
