import { existsSync, readdirSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import { sleep } from '../platform/backoff.ts'

/*
 * The leftovers of a crash, and how each is cleared, so that a start always succeeds:
 *
 * 1. PostgreSQL itself, alive, after its parent was killed: stopped, gently first.
 * 2. Its backends, after it was killed: they hold its shared memory, and a new server would say
 *    "pre-existing shared memory block ... still in use". Ended.
 * 3. `postmaster.pid` whose process id belongs to another process by now (every restart of a
 *    container): removed. PostgreSQL would say "lock file already exists".
 *
 * A process is ours when it runs a `postgres` program inside our data folder: PostgreSQL makes
 * that its working directory. A process id alone is not proof.
 */

/** Milliseconds to wait after each way of asking. */
const patience = { SIGINT: 20_000, SIGQUIT: 5_000, SIGKILL: 10_000 } as const

/**
 * Clears what an earlier run left of the server of `dataDir`.
 *
 * @throws AppError `conflict` when processes of it do not end even when killed
 */
export async function clearLeftovers(dataDir: string, log: Logger): Promise<void> {
  const recorded = recordedPid(dataDir)
  if (recorded !== undefined && findProcesses(dataDir).includes(recorded)) {
    log.warn({ pid: recorded }, 'stopping the PostgreSQL left by an earlier run')
    await askToEnd([recorded], ['SIGINT', 'SIGQUIT', 'SIGKILL'])
  }
  const orphans = findProcesses(dataDir)
  if (orphans.length > 0) {
    log.warn({ pids: orphans }, 'ending the processes left by a killed PostgreSQL')
    // No server is left to end them gently, and the log is replayed in any case.
    await askToEnd(orphans, ['SIGKILL'])
  }
  const stuck = findProcesses(dataDir)
  if (stuck.length > 0) {
    const message = `processes ${stuck.join(', ')} of an earlier PostgreSQL on ${dataDir} cannot be killed`
    throw new AppError('conflict', message)
  }
  rmSync(join(dataDir, 'postmaster.pid'), { force: true })
}

/** The server's process id as written in `postmaster.pid`. */
function recordedPid(dataDir: string): number | undefined {
  try {
    const first = readFileSync(join(dataDir, 'postmaster.pid'), 'utf8').split('\n')[0]
    const pid = Number.parseInt(first ?? '', 10)
    return pid > 0 ? pid : undefined
  } catch {
    return undefined
  }
}

/** Every process that runs `postgres` (or makes a database) with `dataDir` as its working directory. */
export function findProcesses(dataDir: string): number[] {
  if (!existsSync(dataDir)) return []
  const real = realpathSync(dataDir)
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => isPostgresIn(pid, real))
}

function isPostgresIn(pid: number, dataDir: string): boolean {
  try {
    // An upgrade may have taken the file away: Linux then appends " (deleted)".
    const program = readlinkSync(`/proc/${pid}/exe`).replace(/ \(deleted\)$/, '')
    if (!['postgres', 'initdb'].includes(basename(program))) return false
    return readlinkSync(`/proc/${pid}/cwd`) === dataDir
  } catch {
    return false
  }
}

/** Sends each signal in turn until none of the processes is left. */
export async function askToEnd(
  pids: number[],
  signals: readonly (keyof typeof patience)[],
): Promise<void> {
  for (const signal of signals) {
    const left = pids.filter(isAlive)
    if (left.length === 0) return
    for (const pid of left) trySignal(pid, signal)
    await waitForEnd(left, patience[signal])
  }
}

async function waitForEnd(pids: number[], ms: number): Promise<void> {
  const deadline = performance.now() + ms
  while (pids.some(isAlive) && performance.now() < deadline) await sleep(20)
}

function isAlive(pid: number): boolean {
  try {
    // A zombie still takes signals, but it has ended and holds nothing.
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return stat.slice(stat.lastIndexOf(')') + 2)[0] !== 'Z'
  } catch {
    return false
  }
}

function trySignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It ended between the look and the signal.
  }
}
