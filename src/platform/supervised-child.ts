import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync } from 'node:fs'
import type { Logger } from 'pino'
import { Backoff, sleep } from './backoff.ts'
import { openLog } from './line-writer.ts'
import { fileSize, lastLines, rotate } from './log-rotation.ts'

export type ChildSpec = {
  name: string
  /** Command and flags. */
  args: readonly string[]
  /** The whole environment. */
  env: Record<string, string>
  /** Standard output and error are appended to it. */
  logFile: string
  /** It sends `{ready: true, url}` once it works. */
  saysReady: boolean
}

type Surroundings = { program: readonly string[]; log: Logger; onChange: () => void }

/** After this long the next crash counts as the first again. */
const wellAfterMs = 30_000
/** A crashed role is back within five seconds, however often it crashed. */
const waits = { firstMs: 200, maxMs: 4000 }

/** One process that is started again, with growing pauses, whenever it ends without being asked to. */
export class SupervisedChild {
  readonly #spec: ChildSpec
  readonly #around: Surroundings
  readonly #backoff = new Backoff(waits)
  readonly #stopping = new AbortController()
  #child: ChildProcess | undefined
  #kept: Promise<void> | undefined

  constructor(spec: ChildSpec, around: Surroundings) {
    this.#spec = spec
    this.#around = around
  }

  /** Undefined while it is down. */
  get pid(): number | undefined {
    return this.#child?.pid
  }

  /** See Supervisor.start. */
  async start(): Promise<string> {
    const from = fileSize(this.#spec.logFile)
    const { ready, ended } = this.#spawn()
    const url = await Promise.race([ready, ended.then(() => undefined)])
    if (url === undefined) {
      if (this.#stopping.signal.aborted) throw new Error(`${this.#spec.name} was stopped`)
      const { name, logFile } = this.#spec
      const why = explainEnd(lastLines(logFile, from))
      throw new Error(`${name} did not start: ${why}\n(its log is ${logFile})`)
    }
    this.#kept = this.#keep(ended)
    return url
  }

  async stop(patienceMs: number): Promise<void> {
    this.#stopping.abort()
    const child = this.#child
    if (child) {
      const timer = setTimeout(() => {
        this.#around.log.warn({ role: this.#spec.name }, 'did not stop in time and was killed')
        child.kill('SIGKILL')
      }, patienceMs)
      const ended = new Promise((done) => child.once('exit', done))
      child.kill('SIGTERM')
      await ended
      clearTimeout(timer)
    }
    await this.#kept
  }

  kill(signal: NodeJS.Signals): void {
    this.#stopping.abort()
    this.#child?.kill(signal)
  }

  async #keep(firstEnd: Promise<string>): Promise<void> {
    const { signal } = this.#stopping
    let ended = firstEnd
    while (!signal.aborted) {
      const since = performance.now()
      const how = await ended
      if (signal.aborted) return
      if (performance.now() - since >= wellAfterMs) this.#backoff.reset()
      const waitMs = this.#backoff.next()
      this.#around.log.warn(
        { role: this.#spec.name, how, again_in_s: Math.round(waitMs / 100) / 10 },
        'role ended, restarting it',
      )
      await sleep(waitMs, signal)
      if (!signal.aborted) ended = this.#spawn().ended
    }
  }

  /** One run of the process. `ready` may never settle; `ended` always does, with the reason. */
  #spawn(): { ready: Promise<string>; ended: Promise<string> } {
    const { args, env, logFile, saysReady } = this.#spec
    rotate(logFile)
    const out = this.#openLog()
    const child = spawn(process.execPath, [...this.#around.program, ...args], {
      env,
      detached: true,
      stdio: ['ignore', out ?? 'ignore', out ?? 'ignore', 'ipc'],
    })
    if (out !== undefined) closeSync(out)
    this.#child = child
    this.#around.onChange()
    const ended = new Promise<string>((done) => {
      child.once('error', (error) => done(error.message))
      child.once('exit', (code, by) => done(by ?? `code ${code}`))
    }).then((how) => {
      this.#child = undefined
      this.#around.onChange()
      return how
    })
    const ready = new Promise<string>((done) => {
      if (!saysReady) child.once('spawn', () => done(''))
      child.on('message', (said) => {
        if (isReady(said)) done(said.url)
      })
    })
    return { ready, ended }
  }

  /** @returns undefined when it cannot be opened: a child without a log is better than none */
  #openLog(): number | undefined {
    try {
      return openLog(this.#spec.logFile)
    } catch (error) {
      const fields = { role: this.#spec.name, detail: (error as Error).message }
      this.#around.log.warn(fields, 'its log cannot be opened, it runs without one')
      return undefined
    }
  }
}

/**
 * The reason why a child failed, from the end of its log: its message to the operator, otherwise the
 * error that ended it, otherwise the lines as they are.
 */
function explainEnd(lines: string): string {
  const each = lines.split('\n').filter((line) => line !== '')
  const sentences = each.filter((line) => !line.startsWith('{'))
  if (sentences.length > 0) return sentences.join('\n').replace(/^wafermon: /, '')
  const fatal = each.findLast((line) => line.includes('"level":"fatal"'))
  const message = /"message":("(?:\\.|[^"\\])*")/.exec(fatal ?? '')?.[1]
  return message ? String(JSON.parse(message)) : lines
}

function isReady(said: unknown): said is { ready: true; url: string } {
  return typeof said === 'object' && said !== null && 'ready' in said && 'url' in said
}
