import { readFileSync } from 'node:fs'
import type { Logger } from 'pino'
import { sleep } from './backoff.ts'
import { writeDurably } from './durable-file.ts'
import { type Holder, isRunning, readStart, toHolder } from './lock-file.ts'
import { logSparsely } from './sparse-log.ts'
import { type ChildSpec, SupervisedChild } from './supervised-child.ts'

type Recorded = Holder & { name: string }

export type SupervisorOptions = {
  /** How to run ourselves: the file, with what Node.js needs before it. */
  program: readonly string[]
  log: Logger
  /** The file that lists the running children, for the start after a kill -9. */
  recordFile: string
}

/**
 * Keeps the processes of one machine running. Each has its own process group, so that Ctrl-C in the
 * terminal reaches only us, and an IPC channel, so that it stops when we end, even by kill -9.
 */
export class Supervisor {
  readonly #options: SupervisorOptions
  readonly #children = new Map<string, SupervisedChild>()
  #again: NodeJS.Timeout | undefined

  constructor(options: SupervisorOptions) {
    this.#options = options
  }

  /**
   * Ends the children that a killed run left. They stop by themselves, which may take time.
   *
   * @param patienceMs time after which they are killed
   */
  async clearLeftovers(patienceMs: number): Promise<void> {
    const left = () => readRecord(this.#options.recordFile).filter(isRunning)
    const deadline = performance.now() + patienceMs
    for (const { pid } of left()) signal(pid, 'SIGTERM')
    while (left().length > 0 && performance.now() < deadline) await sleep(50)
    for (const { pid, name } of left()) {
      this.#options.log.warn({ pid, role: name }, 'killed processes left by an earlier run')
      signal(pid, 'SIGKILL')
    }
    while (left().length > 0) await sleep(20)
  }

  /**
   * Starts a child and keeps it running from then on.
   *
   * @returns the address that it listens on, or an empty text if it does not say
   * @throws Error with the end of its log when it ends before it is ready: starting it again would not
   * help
   */
  async start(spec: ChildSpec): Promise<string> {
    const { program, log } = this.#options
    const child = new SupervisedChild(spec, { program, log, onChange: () => this.#record() })
    this.#children.set(spec.name, child)
    return await child.start()
  }

  /** Process id of a child; undefined while it is down. */
  pidOf(name: string): number | undefined {
    return this.#children.get(name)?.pid
  }

  /** Stops a child and lets it finish; kills it after `patienceMs`. */
  async stop(name: string, patienceMs: number): Promise<void> {
    await this.#children.get(name)?.stop(patienceMs)
  }

  /** Ends all immediately. Those in `gently` have children of their own to end first. */
  kill(gently: readonly string[]): void {
    for (const [name, child] of this.#children) {
      child.kill(gently.includes(name) ? 'SIGTERM' : 'SIGKILL')
    }
  }

  #record(): void {
    const running = [...this.#children].flatMap(([name, { pid }]) => {
      const started = pid === undefined ? undefined : readStart(pid)
      return pid !== undefined && started ? [{ name, pid, started }] : []
    })
    this.#write(JSON.stringify(running))
  }

  /**
   * The record only helps the start after a kill: on a full disk the children must still be supervised.
   * It is written again later, because an old one does not name those that were started since.
   */
  #write(record: string): void {
    clearTimeout(this.#again)
    try {
      writeDurably(this.#options.recordFile, record)
    } catch (error) {
      const fields = { detail: (error as Error).message }
      const event = 'the running processes could not be recorded, will retry'
      logSparsely(this.#options.log, event, { level: 'warn', fields, event })
      this.#again = setTimeout(() => this.#record(), againMs).unref()
    }
  }
}

/** Time until a record that could not be written is written again, in milliseconds. */
const againMs = 5000

function readRecord(file: string): Recorded[] {
  try {
    const found: unknown = JSON.parse(readFileSync(file, 'utf8'))
    if (!Array.isArray(found)) return []
    return found.flatMap((entry) => {
      const holder = toHolder(entry)
      return holder ? [{ ...holder, name: String(entry.name) }] : []
    })
  } catch {
    return []
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // It ended meanwhile.
  }
}
