import { ConfigError } from '../core/errors.ts'
import type { Micros } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import type { StartContext } from '../platform/role.ts'
import type { SidecarConfig } from './settings.ts'
import { listEntries, type SidecarSinks } from './sidecar-sinks.ts'

/** Why another configuration was not taken. */
export type Refused = { at: Micros; problems: readonly string[] }

/**
 * Reads the sinks again on SIGHUP. What cannot be taken as a whole leaves the sinks as they are, and is told by
 * log and health until a configuration is taken.
 */
export class SinkReload {
  readonly #context: StartContext<SidecarConfig>
  #sinks: SidecarSinks | undefined
  #isAsked = false
  #isBusy = false
  #refused: Refused | undefined

  /** From here on the signal ends nothing; it is answered once there are sinks. */
  constructor(context: StartContext<SidecarConfig>) {
    this.#context = context
    process.on('SIGHUP', () => this.#ask())
  }

  get refused(): Refused | undefined {
    return this.#refused
  }

  /** @param sinks those that were started */
  begin(sinks: SidecarSinks): void {
    this.#sinks = sinks
    if (this.#isAsked) this.#ask()
  }

  /** Several signals while it is at work are one more. */
  #ask(): void {
    this.#isAsked = true
    if (this.#isBusy || !this.#sinks) return
    this.#isBusy = true
    void this.#work(this.#sinks).finally(() => {
      this.#isBusy = false
    })
  }

  async #work(sinks: SidecarSinks): Promise<void> {
    const { log, life } = this.#context
    while (this.#isAsked && !life.signal.aborted) {
      this.#isAsked = false
      try {
        const changes = await this.#take(sinks)
        this.#refused = undefined
        log.info(changes, 'sinks read again')
      } catch (error) {
        const problems = toProblems(error)
        this.#refused = { at: clock.now(), problems }
        const fields = error instanceof ConfigError ? { problems } : { problems, error }
        log.error(fields, 'sinks read again and refused, those before stay in force')
      }
    }
  }

  #take(sinks: SidecarSinks) {
    const { config, warnings } = this.#context.readAgain()
    for (const warning of warnings) this.#context.log.warn({ warning }, 'configuration warning')
    return sinks.replace(listEntries(config))
  }
}

const toProblems = (error: unknown): readonly string[] =>
  error instanceof ConfigError
    ? error.problems
    : [`a sink cannot be opened: ${(error as Error).message}`]
