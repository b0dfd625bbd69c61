import { randomBytes } from 'node:crypto'
import {
  linkSync,
  lstatSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs'
import { AppError } from '../core/errors.ts'

/*
 * A lock that outlives kill -9 without blocking the next start.
 *
 * It names its holder by process id and start time, because ids are used again: in a container every
 * start has the same one. A holder that has ended, or is another process by now, holds nothing.
 *
 * It is a symbolic link that leads nowhere; its text is the holder. Such a text of up to 59 bytes lies
 * in the inode, so a lock can be taken on a full disk, and it appears whole, so a reader never sees
 * half. Earlier versions wrote files of JSON, and those are still respected.
 */

export type Holder = {
  pid: number
  /** When the process started, in clock ticks since boot, and which boot: unique per process. */
  started: string
}

/** Thrown when another process holds the lock. */
export class LockHeld extends Error {
  override readonly name = 'LockHeld'
  readonly pid: number

  constructor(path: string, pid: number) {
    super(`${path} is held by process ${pid}`)
    this.pid = pid
  }
}

/**
 * Takes the lock at `path` for this process.
 *
 * @returns a function that releases it; `takenOver` is true when its last holder died
 * @throws LockHeld naming the process that has it; AppError `unavailable` when the disk does not take a
 * name any more, `conflict` when a folder is in its place, or what is there cannot be moved
 */
export function takeLock(path: string): { release: () => void; takenOver: boolean } {
  const own = { pid: process.pid, started: readStart(process.pid) ?? '' }
  let takenOver = false
  while (!tryMake(path, own)) {
    const held = readHolder(path)
    if (held && isRunning(held)) throw new LockHeld(path, held.pid)
    setAside(path, held)
    takenOver = true
  }
  return { release: () => release(path, own), takenOver }
}

function release(path: string, own: Holder): void {
  try {
    if (isSame(readHolder(path), own)) rmSync(path, { force: true })
  } catch {
    // The disk fails; after our end the lock holds nothing in any case.
  }
}

/** True while that very process is running, not merely one with its id. */
export function isRunning({ pid, started }: Holder): boolean {
  return readStart(pid) === started
}

/** The start of a process, as a text that no other process shares; undefined when it has ended. */
export function readStart(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The name, in brackets, may contain blanks and brackets; the fields begin after the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie has ended; only its parent has not noticed yet.
    if (fields[0] === 'Z') return undefined
    return `${bootId()}/${fields[19]}`
  } catch {
    return undefined
  }
}

function bootId(): string {
  return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
}

function tryMake(path: string, { pid, started }: Holder): boolean {
  try {
    symlinkSync(`${pid}@${started}`, path)
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST') return false
    const message = `cannot lock ${path} (${code}): free some space on its disk, or choose another folder`
    throw new AppError('unavailable', message, { cause: error })
  }
}

/** @returns undefined for what is gone meanwhile, torn by a power cut, or names no process */
function readHolder(path: string): Holder | undefined {
  try {
    if (!lstatSync(path).isSymbolicLink()) return toHolder(JSON.parse(readFileSync(path, 'utf8')))
    const [pid, started] = readlinkSync(path).split('@')
    return toHolder({ pid: Number(pid), started })
  } catch {
    return undefined
  }
}

/** The holder that something read from a file stands for; undefined when it is none. */
export function toHolder(found: unknown): Holder | undefined {
  const { pid, started } = (found ?? {}) as Partial<Holder>
  const valid = Number.isSafeInteger(pid) && Number(pid) > 0 && typeof started === 'string'
  return valid ? { pid: Number(pid), started } : undefined
}

const isSame = (a: Holder | undefined, b: Holder | undefined) =>
  a?.pid === b?.pid && a?.started === b?.started

/** Moves a dead holder's lock away; puts it back if another process has taken over first. */
function setAside(path: string, dead: Holder | undefined): void {
  if (lstatSync(path, { throwIfNoEntry: false })?.isDirectory()) {
    throw new AppError(
      'conflict',
      `${path} is a folder, and a lock belongs there: remove the folder`,
    )
  }
  const aside = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    renameSync(path, aside)
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    // Another process has moved it.
    if (code === 'ENOENT') return
    const message = `cannot move the lock of a process that has ended, ${path} (${code}): remove it, or choose another folder`
    throw new AppError('conflict', message, { cause })
  }
  const moved = readHolder(aside)
  if (moved && !isSame(moved, dead)) putBack(aside, path)
  rmSync(aside, { force: true })
}

function putBack(aside: string, path: string): void {
  try {
    linkSync(aside, path)
  } catch {
    // A third process has it by now.
  }
}
