import { readFileSync } from 'node:fs'

/*
 * SQLite takes its write-ahead log up to the first frame that does not add up, and silently leaves
 * the rest: after a power cut that is the commit that was never answered. A spool syncs each commit
 * before the next one is written, so whole commits after that place are another matter: they were
 * answered for, and the log was damaged later.
 *
 * The form of the log: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
 */

const headBytes = 32
const frameHeadBytes = 24
/** Of a spool that was made before its pages became larger. */
const leastPageBytes = 4096
const magic = 0x377f0682

/** Counts the commits of a write-ahead log that follow damage and are lost. */
export function lostCommits(path: string): number {
  const log = readFileSync(path)
  if (log.length < headBytes) return 0
  const bigEndian = log.readUInt32BE(0) === magic + 1
  const sums = checksum(log, 0, 24, [0, 0], bigEndian)
  const sound = (log.readUInt32BE(0) & ~1) >>> 0 === magic && adds(log, 24, sums)
  // Without its head nothing of the log is read: that may be as many commits as it has frames.
  if (!sound) return Math.max(1, Math.floor(log.length / (frameHeadBytes + leastPageBytes)))
  return commitsAfter(log, log.readUInt32BE(8), sums, bigEndian)
}

function commitsAfter(log: Buffer, pageBytes: number, from: Sums, bigEndian: boolean): number {
  let sums: Sums | undefined = from
  let commits = 0
  const frameBytes = frameHeadBytes + pageBytes
  for (let at = headBytes; at + frameBytes <= log.length; at += frameBytes) {
    const current = isOfThisRound(log, at)
    if (sums && current) {
      const head = checksum(log, at, 8, sums, bigEndian)
      sums = checksum(log, at + frameHeadBytes, pageBytes, head, bigEndian)
    }
    if (sums && (!current || !adds(log, at + 16, sums))) sums = undefined
    // The last frame of a commit tells how many pages the database then has.
    if (!sums && current && log.readUInt32BE(at + 4) > 0) commits++
  }
  // One of them may be the commit that was under way.
  return Math.max(0, commits - 1)
}

/** Frames that an earlier round of the log left carry another salt than its head. */
const isOfThisRound = (log: Buffer, at: number) =>
  log.subarray(16, 24).equals(log.subarray(at + 8, at + 16))

type Sums = [number, number]

const adds = (log: Buffer, at: number, [a, b]: Sums) =>
  log.readUInt32BE(at) === a && log.readUInt32BE(at + 4) === b

function checksum(
  log: Buffer,
  from: number,
  bytes: number,
  [a, b]: Sums,
  bigEndian: boolean,
): Sums {
  const word = (at: number) => (bigEndian ? log.readUInt32BE(at) : log.readUInt32LE(at))
  for (let at = from; at < from + bytes; at += 8) {
    a = (a + word(at) + b) >>> 0
    b = (b + word(at + 4) + a) >>> 0
  }
  return [a, b]
}
