import { AppError } from '../core/errors.ts'
import type { HttpClient } from '../platform/http-client.ts'
import { HttpFailure } from '../platform/http-failure.ts'
import { type ApiOptions, openClient } from './api-client.ts'
import { Breaker } from './breaker.ts'
import { LastKnown } from './last-known.ts'
import { withoutSecrets } from './parse-sites.ts'
import { type Passed, passQuestion, type RawQuestion } from './pass-through.ts'
import { type Guard, type RemoteSite, readerOver } from './remote-reader.ts'
import { SiteFollower } from './site-follower.ts'

/** The health of one site. */
export type SiteHealth = {
  id: string
  status: 'ok' | 'degraded' | 'unreachable'
  /** Seconds since it was asked; null when it did not answer. */
  age_s: number | null
  endpoint: string
  version: string | null
  error: string | null
}

type Checked = Omit<SiteHealth, 'id' | 'endpoint' | 'age_s'>

export type SiteOptions = Omit<ApiOptions, 'baseUrl'> & {
  id: string
  /** Address of its API. */
  url: string
  /** Called with every sign that the site answers, or does not. */
  onUp?: (up: boolean) => void
  /** Ends exchanges without a caller: the role is stopping. */
  stopping: AbortSignal
}

/** A health younger than this is given again: probes and scrapes must not become a load on sites. */
const freshMs = 2000

/**
 * One site, as long as the process lives: connections that are kept, a reader behind a breaker, one
 * follower of its live stream for everyone, and the last health.
 */
export class Site {
  readonly id: string
  readonly reader: RemoteSite
  readonly follower: SiteFollower
  readonly #options: SiteOptions
  readonly #client: HttpClient
  readonly #breaker: Breaker
  readonly #health = new LastKnown<Checked>(freshMs)

  constructor(options: SiteOptions) {
    this.id = options.id
    this.#options = options
    this.#client = openClient({ ...options, baseUrl: options.url })
    this.#breaker = new Breaker({ probe: () => this.#probe() })
    const guard: Guard = (signal, ask) => this.#breaker.run(signal, ask)
    this.reader = readerOver(this.#client, { guard })
    this.follower = new SiteFollower({ reader: this.reader, onChange: (up) => this.#noteUp(up) })
  }

  /** Puts a question to the site unchanged. */
  async pass(question: RawQuestion, signal: AbortSignal): Promise<Passed> {
    try {
      const ask = () => passQuestion(this.#client, this.id, question, signal)
      const passed = await this.#breaker.run(signal, ask)
      this.#options.onUp?.(true)
      return passed
    } catch (error) {
      if (!signal.aborted) this.#options.onUp?.(false)
      throw error
    }
  }

  async health(): Promise<SiteHealth> {
    const { value, ageMs } = await this.#health.ask(() => this.#check())
    return {
      id: this.id,
      ...value,
      endpoint: withoutSecrets(this.#options.url),
      age_s: value.status === 'unreachable' ? null : Math.round(ageMs) / 1000,
    }
  }

  /** Ends its connections. */
  close(): void {
    this.#client.close()
  }

  async #check(): Promise<Checked> {
    const { stopping } = this.#options
    try {
      // Health is open to all: a site that rejects our token would look well, and answer nothing.
      const [{ status, version }] = await Promise.all([
        this.reader.health(stopping),
        this.reader.checkAdmission(stopping),
      ])
      this.#noteUp(true)
      return { status: status === 'ok' ? 'ok' : 'degraded', version, error: null }
    } catch (error) {
      this.#noteUp(false)
      const { message, cause } = error as Error
      // A refusal is an answer: questions need not be held back.
      if (!(cause instanceof HttpFailure)) this.#breaker.close()
      return { status: 'unreachable', version: null, error: message }
    }
  }

  /** The breaker's probe is the health: every request for it tells the breaker as well. */
  async #probe(): Promise<void> {
    const { error } = await this.health()
    if (error !== null) throw new AppError('unreachable', error)
  }

  #noteUp(up: boolean): void {
    if (up) this.#breaker.close()
    this.#options.onUp?.(up)
  }
}
