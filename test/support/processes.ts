import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { claimPorts } from '../../src/platform/free-ports.ts'

/** The built program: what is tested is what is shipped. */
export const program = fileURLToPath(new URL('../../dist/wafermon.js', import.meta.url))

export type Running = {
  /** Where it listens. */
  url: string
  pid: number
  child: ChildProcess
  /** Everything it has printed so far, both streams. */
  logs(): string
  /** Settles when it has ended. */
  ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** Asks it to stop (SIGTERM) and waits until it has. */
  stop(): Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  /** Kills it as a power cut would, and waits until it is gone. */
  kill9(): Promise<void>
}

type Environment = Record<string, string>

/**
 * Starts a role of the built program on a free port, unless `env` gives one, and waits until it
 * listens. Stopped, or killed if it will not, when the test ends.
 *
 * @param role the command, with flags after it if need be
 * @param main the built program; ours unless another build is compared with it
 */
export async function startRole(
  t: Pick<TestContext, 'after'>,
  role: string | readonly string[],
  env: Environment = {},
  main = program,
): Promise<Running> {
  const args = typeof role === 'string' ? [role] : role
  const running = launch(args, { PORT: '0', HOST: '127.0.0.1', ...env }, [], main)
  t.after(() => endForSure(running))
  const failed = running.ended.then(({ code, signal }) => {
    throw new Error(`${args.join(' ')} ended with ${signal ?? code}:\n${running.logs()}`)
  })
  const url = await Promise.race([running.ready, failed])
  return { ...running, url }
}

/**
 * Starts the program and waits for nothing.
 *
 * @param under a command that runs it, such as strace with its flags
 */
export function launch(
  args: readonly string[],
  env: Environment,
  under: readonly string[] = [],
  main = program,
) {
  if (!existsSync(main)) throw new Error(`${main} is missing: run npm run build`)
  const [command = '', ...rest] = [...under, process.execPath, main, ...args]
  const child = spawn(command, rest, {
    env: { ...inherited(), ...env },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  })
  const printed = { both: '', stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (text: string) => {
      printed.both += text
      printed[name] += text
    })
  }
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((done) => {
    child.once('close', (code, signal) => done({ code, signal }))
  })
  const ready = new Promise<string>((done) => {
    child.on('message', (said: { ready?: boolean; url?: string }) => {
      if (said.ready) done(said.url ?? '')
    })
  })
  const stop = () => {
    child.kill('SIGTERM')
    return ended
  }
  const kill9 = async () => {
    child.kill('SIGKILL')
    await ended
  }
  const logs = () => printed.both
  const out = () => printed.stdout
  const err = () => printed.stderr
  return { child, pid: child.pid ?? 0, logs, out, err, ended, ready, stop, kill9 }
}

/** The variables of our environment that the program needs, without settings of a developer's shell. */
function inherited(): Environment {
  const names = ['PATH', 'HOME', 'TMPDIR', 'TZ']
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = process.env[name]
      return value === undefined ? [] : [[name, value]]
    }),
  )
}

async function endForSure({ child, ended }: Pick<Running, 'child' | 'ended'>): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  const late = setTimeout(() => child.kill('SIGKILL'), 20_000)
  await ended
  clearTimeout(late)
}

/**
 * Asks until the answer is not undefined or false.
 *
 * @throws Error saying what was waited for when it does not come within `deadlineMs`
 */
export async function until<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
  deadlineMs = 20_000,
): Promise<T> {
  const deadline = Date.now() + deadlineMs
  for (;;) {
    const answer = await ask()
    if (answer !== undefined && answer !== false) return answer
    if (Date.now() > deadline) throw new Error(`waited ${deadlineMs / 1000} s in vain for ${what}`)
    await wait(25)
  }
}

const folders: string[] = []
process.once('exit', () => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})

/**
 * A folder that is taken away when the test file ends: `after` hooks run in the order in which they
 * were made, so at the end of the test it would go before what runs in it has stopped.
 */
export function freshFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'wafermon-test-'))
  folders.push(folder)
  return folder
}

/**
 * A port that is free now, for a server that must come back under the same address. It is below those
 * that the system gives away: nothing else gets it while that server is not there.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = randomInt(10_000, 32_000)
    const isFree = await claimPorts([{ flag: 'a test', port }]).catch(() => undefined)
    if (isFree) return port
  }
}
