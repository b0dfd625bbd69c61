import { randomBytes } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'

/*
 * A lock that outlives kill -9 without blocking the next start.
 *
 * The file names its holder by process id and start time, because ids are used again: in a
 * container every start has the same one. A holder that has ended, or is another process by now,
 * holds nothing. The file appears whole (link of a finished file), so a reader never sees half.
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
 * @throws LockHeld naming the process that has it
 */
export function takeLock(path: string): { release: () => void; takenOver: boolean } {
  const own = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`
  writeFileSync(own, JSON.stringify({ pid: process.pid, started: readStart(process.pid) }))
  try {
    let takenOver = false
    while (!tryLink(own, path)) {
      const held = readHolder(path)
      if (held && isRunning(held)) throw new LockHeld(path, held.pid)
      setAside(path, held)
      takenOver = true
    }
    return { release: () => rmSync(path, { force: true }), takenOver }
  } finally {
    rmSync(own, { force: true })
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

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

function readHolder(path: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as Holder
  } catch {
    // Gone meanwhile, or torn by a power cut: it is not held.
    return undefined
  }
}

/** Moves a dead holder's file away; puts it back if another process has taken over first. */
function setAside(path: string, dead: Holder | undefined): void {
  const aside = `${path}.${process.pid}-${randomBytes(4).toString('hex')}`
  try {
    renameSync(path, aside)
  } catch {
    return
  }
  const moved = readHolder(aside)
  if (moved && moved.started !== dead?.started) tryLink(aside, path)
  rmSync(aside, { force: true })
}
