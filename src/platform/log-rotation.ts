import { closeSync, copyFileSync, openSync, readSync, statSync, truncateSync } from 'node:fs'

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
  copyFileSync(file, `${file}.1`)
  truncateSync(file)
}

/** Size of a file in bytes; 0 when it does not exist. */
export function fileSize(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

/** The last lines of a file from byte `from` on, at most ten and 4 KiB. */
export function lastLines(file: string, from: number): string {
  const size = fileSize(file)
  const start = Math.max(size < from ? 0 : from, size - 4096)
  const buffer = Buffer.alloc(Math.max(0, size - start))
  const handle = openSync(file, 'r')
  try {
    readSync(handle, buffer, 0, buffer.length, start)
  } finally {
    closeSync(handle)
  }
  return buffer.toString('utf8').trimEnd().split('\n').slice(-10).join('\n')
}
