import {
  closeSync,
  constants,
  copyFileSync,
  fstatSync,
  ftruncateSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
} from 'node:fs'

/** Size at which a log is moved aside, in bytes. */
const maxBytes = 10 * 2 ** 20

/**
 * Moves a log over ten megabytes aside as `<file>.1`, replacing the previous one. It is copied and
 * emptied rather than renamed, because the process that writes it has it open (in append mode) and
 * continues to write to the file of this name. That process writes to the file and not to a pipe of
 * ours, so that its last lines are kept when we are killed. The lines that it writes between the copy
 * and the emptying, some microseconds, are lost.
 */
export function rotate(file: string, limit = maxBytes): void {
  if (fileSize(file) <= limit) return
  try {
    copyAside(file)
    empty(file)
  } catch {
    // On a full disk the log cannot grow either; the next look tries again.
  }
}

/** On a disk without space for both, the older lines go before the newer ones. */
function copyAside(file: string): void {
  try {
    copyWhole(file)
  } catch {
    rmSync(`${file}.1`, { force: true })
    copyWhole(file)
  }
}

/** Half a copy must not take the place of a whole one, nor anything be written through a link. */
function copyWhole(file: string): void {
  const partial = `${file}.partial`
  try {
    rmSync(partial, { force: true })
    copyFileSync(file, partial, constants.COPYFILE_EXCL)
    renameSync(partial, `${file}.1`)
  } catch (error) {
    rmSync(partial, { force: true })
    throw error
  }
}

function empty(file: string): void {
  const handle = openSync(file, constants.O_WRONLY | constants.O_NOFOLLOW)
  try {
    ftruncateSync(handle)
  } finally {
    closeSync(handle)
  }
}

/** Size of a file in bytes; 0 when it does not exist, or is something else. */
export function fileSize(file: string): number {
  const stats = lstatSync(file, { throwIfNoEntry: false })
  return stats?.isFile() ? stats.size : 0
}

/** The last lines of a file from byte `from` on, at most ten and 4 KiB; empty when it cannot be read. */
export function lastLines(file: string, from: number): string {
  try {
    return readEnd(file, from)
  } catch {
    return ''
  }
}

function readEnd(file: string, from: number): string {
  const handle = openSync(file, 'r')
  try {
    const { size } = fstatSync(handle)
    const start = Math.max(size < from ? 0 : from, size - 4096)
    const buffer = Buffer.alloc(Math.max(0, size - start))
    readSync(handle, buffer, 0, buffer.length, start)
    return buffer.toString('utf8').trimEnd().split('\n').slice(-10).join('\n')
  } finally {
    closeSync(handle)
  }
}
