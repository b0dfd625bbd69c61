import { spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { freshFolder, until } from './processes.ts'

export const hasStrace = existsSync('/usr/bin/strace')
export const straceMissing = 'strace is not installed: apt-get install strace'

export type Traced = {
  /** The system calls so far, a line each. */
  calls(): string[]
  /** Lets go of the process, which runs on as if nothing had been. */
  stop(): Promise<void>
}

/**
 * Attaches strace to all threads of a process, to watch its system calls or to make some of them
 * fail; the arguments say which.
 */
export async function traceProcess(
  t: Pick<TestContext, 'after'>,
  pid: number,
  args: readonly string[],
): Promise<Traced> {
  const file = join(freshFolder(), 'trace')
  const child = spawn('strace', ['-f', '-y', '-o', file, ...args, '-p', String(pid)], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  const ended = new Promise<void>((done) => child.once('close', () => done()))
  const stop = () => {
    child.kill('SIGINT')
    return ended
  }
  t.after(stop)
  await until('strace to be attached', () => {
    if (child.exitCode !== null) throw new Error(`strace ended: ${said}`)
    return said.includes('attached')
  })
  const calls = () => (existsSync(file) ? readFileSync(file, 'utf8').trimEnd().split('\n') : [])
  return { calls, stop }
}
