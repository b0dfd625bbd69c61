import { lstatSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { rm, rmdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { writeDurably } from '../platform/durable-file.ts'
import { ownFolder, type RunAs } from './user.ts'

/** Bytes that the path of a Unix socket may have on Linux (sun_path is 108 with its end). */
const maxPathBytes = 107

export type SocketFolder = {
  path: string
  /** Takes a folder outside the state directory away again. */
  remove(): Promise<void>
}

/**
 * The folder for the server's socket: `dir/run`. When that path is too long for a socket it is a
 * closed folder under the system's temporary one, and `dir/postgres.socket` says which: a server
 * that is started again takes the same, because its clients know the path.
 */
export async function socketFolder(dir: string, user: RunAs, port: string): Promise<SocketFolder> {
  const name = `.s.PGSQL.${port}`
  const near = join(dir, 'run')
  if (Buffer.byteLength(join(near, name)) <= maxPathBytes) {
    ownFolder(near, user)
    await clear(near, name)
    return { path: near, remove: async () => {} }
  }
  const record = join(dir, 'postgres.socket')
  const known = again(record, user)
  const path = known ?? mkdtempSync(join(shortTmp(name), 'wafermon-'))
  ownFolder(path, user)
  await clear(path, name)
  if (path !== known) note(record, path)
  const remove = async () => {
    await clear(path, name)
    // Only an empty folder is ours to take away.
    await rmdir(path).catch(() => {})
  }
  return { path, remove }
}

/** On a disk too full for the record, the next start takes another folder. */
function note(record: string, path: string): void {
  try {
    writeDurably(record, path, { mode: 0o600 })
  } catch {
    // See above.
  }
}

/**
 * The socket has a lock file of its own, with a process id that PostgreSQL takes for alive while
 * its process is a zombie or another one by now. Its owner is gone: we hold the folder's lock.
 */
async function clear(path: string, name: string): Promise<void> {
  await rm(join(path, name), { force: true })
  await rm(join(path, `${name}.lock`), { force: true })
}

/** The folder of the last time, if it is still ours or can be made again under the same name. */
function again(record: string, user: RunAs): string | undefined {
  try {
    const path = readFileSync(record, 'utf8')
    const stats = lstatSync(path, { throwIfNoEntry: false })
    if (!stats) mkdirSync(path, { mode: 0o700 })
    // In a world-writable folder another user may have put something there.
    else if (!stats.isDirectory() || stats.uid !== (user.uid ?? process.getuid?.()))
      return undefined
    return path
  } catch {
    return undefined
  }
}

function shortTmp(name: string): string {
  const fits = Buffer.byteLength(join(tmpdir(), 'wafermon-XXXXXX', name)) <= maxPathBytes
  return fits ? tmpdir() : '/tmp'
}
