import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { freshFolder, program } from '../support/processes.ts'
import { often } from './role.ts'

/* The archiver as a process that is killed or stopped in a call of the system. */

/** Pass to `test`: says why it did not run. */
export const needsStrace = {
  skip: existsSync('/usr/bin/strace') ? false : 'strace is not installed: apt-get install strace',
}

/** Runs an archiver until its nth call of the system, before which it dies. */
export async function dieAt(url: string, dir: string, call: string, n: number): Promise<void> {
  const inject = `inject=${call}:signal=KILL:when=${n}`
  const { ended, calls, logs } = traced(url, dir, ['-e', `trace=${call}`, '-e', inject])
  await ended
  assert.match(calls(), /killed by SIGKILL/, `${call} ${n} was not reached: ${logs()}`)
}

/** Runs an archiver under strace, with one thread for files, so that calls come in their order. */
export function traced(url: string, dir: string, args: string[]) {
  const output = join(freshFolder(), 'strace')
  const command = ['-f', '-o', output, ...args, process.execPath, program, 'archiver']
  const child = spawn('strace', command, {
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: url,
      ARCHIVE_DIR: dir,
      PORT: '0',
      JSON_LOGS: 'true',
      UV_THREADPOOL_SIZE: '1',
      ...often,
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    printed += text
  })
  return {
    ended: once(child, 'exit'),
    calls: () => (existsSync(output) ? readFileSync(output, 'utf8') : ''),
    logs: () => printed,
    // strace itself would let go of the program on a signal, and leave it running.
    pid: () => childOf(child.pid ?? 0),
  }
}

const childOf = (pid: number) =>
  Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ')[0])
