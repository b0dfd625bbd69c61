import { closeSync, fchownSync, fsyncSync, openSync, renameSync, rmSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'

export type DurableFileOptions = {
  /** Permissions of the file (default 0o666 under the umask). */
  mode?: number
  /** Owner of the file; the user of this process unless given. */
  owner?: { uid: number; gid: number }
}

/**
 * Replaces a file as a whole. A reader sees the old content or the new one and never half of either,
 * also after a kill or a power cut; after the return it is the new one. After a failure it is the old
 * one, or the new one when only its folder could not be synced.
 *
 * A file that a kill left beside it (`NAME.partial`) is overwritten the next time, so two processes
 * must not write the same file at the same time.
 */
export function writeDurably(
  path: string,
  content: string,
  options: DurableFileOptions = {},
): void {
  const partial = `${path}.partial`
  try {
    writeSynced(partial, content, options)
    renameSync(partial, path)
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
  sync(dirname(path))
}

function writeSynced(path: string, content: string, { mode, owner }: DurableFileOptions): void {
  // One that a kill left may have other permissions, which opening would not change.
  rmSync(path, { force: true })
  const file = openSync(path, 'wx', mode)
  try {
    if (owner) fchownSync(file, owner.uid, owner.gid)
    const bytes = Buffer.from(content)
    for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

/** Makes the names in a folder, or what is in a file, survive a power cut. */
export function sync(path: string): void {
  const handle = openSync(path, 'r')
  try {
    fsyncSync(handle)
  } finally {
    closeSync(handle)
  }
}
