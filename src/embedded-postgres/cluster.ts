import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import { writeDurably } from '../platform/durable-file.ts'
import { sync } from './install.ts'
import { askToEnd, findProcesses } from './leftovers.ts'
import { cleanEnv, ownFolder, type RunAs, toSpawnIds } from './user.ts'

/** Initial settings of a new database, written to postgresql.conf, where an operator may change them. */
const initial = {
  max_connections: '60',
  shared_buffers: '128MB',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_line_prefix: '%m [%p] ',
  shared_preload_libraries: 'pg_stat_statements',
}

/** Built in: a locale of the caller or of the machine may not exist here. */
const locale = [
  '--encoding=UTF8',
  '--locale-provider=builtin',
  '--builtin-locale=C.UTF-8',
  '--locale=C',
]

export type Cluster = {
  dir: string
  dataDir: string
  /** Folder of the binaries. */
  binaries: string
  user: RunAs
  log: Logger
}

/**
 * Makes the data folder unless it is there. Everything happens in `postgres.new`, which gets its
 * name once initdb has ended well: a first start that was cut short begins again.
 *
 * @throws AppError `conflict` when the data is of another major version of PostgreSQL, or something else
 * is in its place
 */
export async function createCluster(cluster: Cluster): Promise<void> {
  const { dir, dataDir, user, log } = cluster
  if (existsSync(join(dataDir, 'PG_VERSION'))) return checkMajor(cluster)
  refuseOther(dataDir)
  log.info('creating the database')
  const fresh = `${dataDir}.new`
  if (existsSync(fresh)) await askToEnd(findProcesses(fresh), ['SIGKILL'])
  await rm(fresh, { recursive: true, force: true })
  ownFolder(fresh, user)

  const password = randomBytes(24).toString('hex')
  writeDurably(passwordFile(dir), password, { mode: 0o600 })
  await initdb(cluster, fresh, password)
  await run(
    cluster,
    fresh,
    ['postgres', '--single', '-D', fresh, 'postgres'],
    'create database wafermon',
  )
  await rename(fresh, dataDir)
  await sync(dir)
}

/** An empty folder may be there: a disk of its own, for example. */
function refuseOther(dataDir: string): void {
  const found = statSync(dataDir, { throwIfNoEntry: false })
  if (!found || (found.isDirectory() && readdirSync(dataDir).length === 0)) return
  throw new AppError(
    'conflict',
    `${dataDir} is in the place of the database, and is none: move it away`,
  )
}

/**
 * The password of the embedded server's only user.
 *
 * @throws AppError `not_found` when the file is gone
 */
export function readPassword(dir: string): string {
  try {
    return readFileSync(passwordFile(dir), 'utf8').trim()
  } catch (cause) {
    const message = `cannot read ${passwordFile(dir)}, which belongs to the data: restore it from a backup`
    throw new AppError('not_found', message, { cause })
  }
}

const passwordFile = (dir: string) => join(dir, 'postgres.password')

function checkMajor({ dataDir, binaries }: Cluster): void {
  const has = readFileSync(join(dataDir, 'PG_VERSION'), 'utf8').trim()
  const needs = /postgres-(\d+)/.exec(binaries)?.[1]
  if (has === needs) return
  throw new AppError(
    'conflict',
    `${dataDir} was created by PostgreSQL ${has}, and this wafermon brings ${needs}: ` +
      'start with another --dir, or run the version of wafermon that created it',
  )
}

async function initdb(cluster: Cluster, dataDir: string, password: string): Promise<void> {
  const { dir, user } = cluster
  // initdb reads the password as the server's user, from a file that only this user can read.
  const file = join(dir, 'postgres.initial')
  const owner =
    user.uid === undefined ? {} : { owner: { uid: user.uid, gid: user.gid ?? user.uid } }
  try {
    writeDurably(file, password, { mode: 0o600, ...owner })
    const settings = Object.entries(initial).flatMap(([name, value]) => [
      '--set',
      `${name}=${value}`,
    ])
    const auth = ['--username=wafermon', `--pwfile=${file}`, '--auth=scram-sha-256']
    await run(cluster, dataDir, ['initdb', '-D', dataDir, ...auth, ...locale, ...settings])
  } finally {
    await rm(file, { force: true })
  }
}

/** Runs one of the binaries to its end; what it printed is the message if it fails. */
async function run(
  { binaries, user }: Cluster,
  cwd: string,
  [program = '', ...args]: string[],
  input = '',
): Promise<void> {
  const child = spawn(join(binaries, 'bin', program), args, {
    ...toSpawnIds(user),
    cwd,
    env: cleanEnv,
    detached: true,
  })
  const failed = new Promise<never>((_, reject) => child.once('error', reject))
  const closed = new Promise<number | null>((done) => child.once('close', done))
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const said = Promise.all([text(child.stdout), text(child.stderr)])
  const code = await Promise.race([closed, failed])
  if (code !== 0)
    throw explained(user, `${program} ended with ${code}: ${(await said).join(' ').trim()}`)
}

/** A container started under a made-up user id is common, and PostgreSQL's words do not help. */
function explained(user: RunAs, why: string): Error {
  if (!/could not look up effective user ID/.test(why)) return new Error(why)
  return new AppError(
    'forbidden',
    `PostgreSQL does not run as a user without a name (id ${user.uid ?? process.getuid?.()}): start wafermon as ` +
      'root or as a user that is in /etc/passwd',
  )
}
