import { readFileSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import * as z from 'zod'
import type { Micros } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import { sync, writeDurably } from '../platform/durable-file.ts'

/**
 * Since when an operator lets a sink be offered nothing, and why. `unknown`: it is not known whether an operator does.
 */
export type Pause = { at: Micros; reason: string; unknown?: true }

const fileSchema = z.record(z.string(), z.object({ at: z.string(), reason: z.string() }))

/** How often a file that cannot be read is tried again, in milliseconds. */
const againMs = 1000

/**
 * The sinks that an operator has paused. They are in a file beside the database, which a damaged one does not
 * take with it; it is there while some sink is paused.
 *
 *  1. While the file is there and cannot be read (rights, a failing disk), no sink is offered anything: any of them may
 *     be paused. It is tried again until it can be read, and nothing is written in its place.
 *  2. From a file with damaged content no sink is paused, because waiting would not bring the names back.
 */
export class Pauses {
  readonly #path: string
  #of = new Map<string, Pause>()
  #trouble: string | undefined
  /** Why any sink may be paused. */
  #unreadable: { pause: Pause; error: Error; nextMs: number } | undefined

  constructor(dir: string) {
    this.#path = join(dir, 'paused')
    this.#read()
  }

  /** Why it is not known which sinks are paused, in words, until one is paused or resumed. */
  get trouble(): string | undefined {
    this.#readAgain()
    return this.#trouble
  }

  get(sink: string): Pause | undefined {
    this.#readAgain()
    return this.#unreadable?.pause ?? this.#of.get(sink)
  }

  /** Durable once it returns. @param pause undefined to resume @throws when the disk fails; all is as it was */
  set(sink: string, pause: Pause | undefined): void {
    if (this.#unreadable) this.#read()
    if (this.#unreadable) throw this.#unreadable.error
    const next = new Map(this.#of)
    if (pause) next.set(sink, pause)
    else if (!next.delete(sink) && !this.#trouble) return
    if (next.size > 0) writeDurably(this.#path, `${JSON.stringify(Object.fromEntries(next))}\n`)
    else {
      rmSync(this.#path, { force: true })
      sync(dirname(this.#path))
    }
    this.#trouble = undefined
    this.#of = next
  }

  #readAgain(): void {
    if (this.#unreadable && performance.now() >= this.#unreadable.nextMs) this.#read()
  }

  #read(): void {
    const found = readFile(this.#path)
    if (found instanceof Error) {
      const reason = `${this.#path} cannot be read (${found.code}), and any sink may be paused in it: let this user read it, or remove it to resume all sinks`
      const pause = this.#unreadable?.pause ?? { at: clock.now(), reason, unknown: true as const }
      this.#unreadable = { pause, error: found, nextMs: performance.now() + againMs }
      this.#trouble = reason
      return
    }
    this.#unreadable = undefined
    this.#of = new Map(Object.entries(found ?? {}))
    this.#trouble = found
      ? undefined
      : `${this.#path} cannot be read, so that no sink is paused; pause them again, or resume one to remove the file`
  }
}

/** @returns undefined when it is there and not ours, the error when it cannot be read */
function readFile(path: string): z.infer<typeof fileSchema> | NodeJS.ErrnoException | undefined {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ENOENT' ? {} : (error as Error)
  }
  try {
    return fileSchema.parse(JSON.parse(text))
  } catch {
    return undefined
  }
}
