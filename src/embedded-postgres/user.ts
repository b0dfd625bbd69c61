import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  type Stats,
  statSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { AppError } from '../core/errors.ts'

/** Who PostgreSQL runs as; undefined ids: as we do. */
export type RunAs = { name: string; uid?: number; gid?: number }

/** LANG, LC_*, PG* and LD_* of the caller would change what the server does. */
export const cleanEnv = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' }

/** The ids as `spawn` takes them. */
export function toSpawnIds({ uid, gid }: RunAs): { uid?: number; gid?: number } {
  return uid === undefined || gid === undefined ? {} : { uid, gid }
}

/** Makes sure of a folder that belongs to the server's user and is closed to others. */
export function ownFolder(path: string, { uid, gid }: RunAs): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  chmodSync(path, 0o700)
  if (uid !== undefined) chownSync(path, uid, gid ?? uid)
}

/** The names that `wafermon up` uses in its state directory: a folder with only these is ours. */
const ours = /^(postgres|run|spool|archive|logs|up\.|simulator)/

/**
 * Chooses the user for a data folder. PostgreSQL refuses to run as root, so root takes the owner
 * of the data if it exists, else `postgres` if there is such a user, else `nobody`.
 *
 * @throws AppError `forbidden` when the data belongs to another user and we are not root
 */
export function chooseUser(dataDir: string): RunAs {
  const self = process.getuid?.() ?? 0
  const data = statOf(dataDir)
  const owner = data?.uid
  if (self !== 0) {
    if (owner === undefined || owner === self) return { name: String(self) }
    const who = readUsers().find(({ uid }) => uid === owner)?.name ?? `user id ${owner}`
    throw new AppError(
      'forbidden',
      `${dataDir} belongs to ${who}: start wafermon as that user or as root, or give another --dir`,
    )
  }
  const users = readUsers()
  const named = (name: string) => users.find((user) => user.name === name)
  if (data && owner) {
    const nameless = { name: `user id ${owner}`, uid: owner, gid: data.gid }
    return users.find(({ uid }) => uid === owner) ?? nameless
  }
  const found = named('postgres') ?? named('nobody')
  if (found) return found
  throw new AppError(
    'forbidden',
    'PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as: ' +
      'create one (useradd --system postgres), or start wafermon as an ordinary user',
  )
}

/**
 * Makes sure that the user can reach `dir`: opens our own folder for passing through (0711), and
 * refuses with the folder's name when one above it is closed.
 *
 * @throws AppError `forbidden` naming the folder and the remedy
 */
export function openPathTo(dir: string, user: RunAs): void {
  if (user.uid === undefined) return
  if (!mayEnter(statSync(dir), user) && isOurs(dir)) chmodSync(dir, 0o711)
  for (let folder = dir; ; folder = dirname(folder)) {
    const stats = statSync(folder)
    if (!mayEnter(stats, user)) throw closed(folder, stats, user)
    if (folder === dirname(folder)) return
  }
}

function mayEnter({ mode, uid, gid }: Stats, user: RunAs): boolean {
  if (uid === user.uid) return (mode & 0o100) !== 0
  if (gid === user.gid) return (mode & 0o010) !== 0
  return (mode & 0o001) !== 0
}

function isOurs(dir: string): boolean {
  return readdirSync(dir).every((name) => ours.test(name))
}

function closed(folder: string, { mode }: Stats, user: RunAs): AppError {
  const shown = (mode & 0o7777).toString(8).padStart(4, '0')
  return new AppError(
    'forbidden',
    `PostgreSQL runs as the user ${user.name}, which may not enter ${folder} (mode ${shown}): ` +
      `run \`chmod o+x ${folder}\`, or keep the state elsewhere, for example --dir /var/lib/wafermon`,
  )
}

function readUsers(): Required<RunAs>[] {
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n')
  return lines.flatMap((line) => {
    const [name, , uid, gid] = line.split(':')
    return name && uid && gid ? [{ name, uid: Number(uid), gid: Number(gid) }] : []
  })
}

function statOf(path: string): Stats | undefined {
  return statSync(path, { throwIfNoEntry: false })
}
