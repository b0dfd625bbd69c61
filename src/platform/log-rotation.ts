import { closeSync, copyFileSync, openSync, readSync, statSync, truncateSync } from 'node:fs'

/** Bytes after which a log is put aside. */
const maxBytes = 10 * 2 ** 20

/**
 * Puts a log over ten megabytes aside as `<file>.1`, over the one before. Copied and emptied rather
 * than renamed: the process that writes it holds it open (in append mode) and continues to write to
 * the file of this name. It owns the file itself, not a pipe to us, so that its last words are kept
 * when we are killed. Lines written between copy and emptying, some microseconds, are lost.
 */
export function rotate(file: string, limit = maxBytes): void {
  if (readFileSize(file) <= limit) return
  copyFileSync(file, `${file}.1`)
  truncateSync(file)
}

/** Bytes of a file; 0 when there is none. */
export function readFileSize(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

/** The last lines of a file from byte `from` on, at most ten and 4 KiB. */
export function lastLines(file: string, from: number): string {
  const size = readFileSize(file)
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
