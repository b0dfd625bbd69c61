import { AppError } from '../core/errors.ts'
import { sleep } from '../platform/backoff.ts'
import type { HttpClient } from '../platform/http-client.ts'
import { HttpFailure } from '../platform/http-failure.ts'
import { type ApiOptions, openClient } from './api-client.ts'
import { Breaker, isOutage } from './breaker.ts'
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

/** How long a question without an answer counts against the health of its site, in milliseconds. */
const outageMs = 60_000

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
  /** The last question, when it got no answer. */
  #outage: { why: string; at: number } | undefined

  constructor(options: SiteOptions) {
    this.id = options.id
    this.#options = options
    this.#client = openClient({ ...options, baseUrl: options.url })
    this.#breaker = new Breaker({ probe: () => this.#probe() })
    const guard: Guard = (signal, ask) => this.#run(signal, ask)
    this.reader = readerOver(this.#client, { guard })
    this.follower = new SiteFollower({ reader: this.reader, onChange: (up) => this.#noteUp(up) })
  }

  /** Puts a question to the site unchanged. */
  async pass(question: RawQuestion, signal: AbortSignal): Promise<Passed> {
    try {
      const ask = () => passQuestion(this.#client, this.id, question, signal)
      const passed = await this.#run(signal, ask)
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
      ...this.#byEffect(value),
      endpoint: withoutSecrets(this.#options.url),
      age_s: value.status === 'unreachable' ? null : Math.round(ageMs) / 1000,
    }
  }

  /** The same, but given up after `ms`: a site that is silent must not make the asker silent. */
  async healthWithin(ms: number): Promise<SiteHealth> {
    const answered = new AbortController()
    const silent = sleep(ms, answered.signal).then(
      (): SiteHealth => ({
        ...{ id: this.id, status: 'unreachable', age_s: null, version: null },
        endpoint: withoutSecrets(this.#options.url),
        error: `did not answer within ${ms / 1000} s`,
      }),
    )
    return Promise.race([this.health(), silent]).finally(() => answered.abort())
  }

  /** Ends its connections. */
  close(): void {
    this.#client.close()
  }

  /** A site may say that it is well, and answer no question. */
  #byEffect(checked: Checked): Checked {
    const outage = this.#outage
    if (checked.status !== 'ok' || !outage) return checked
    if (performance.now() - outage.at > outageMs) return checked
    return { ...checked, status: 'degraded', error: `the last question: ${outage.why}` }
  }

  async #run<T>(signal: AbortSignal, ask: () => Promise<T>): Promise<T> {
    try {
      const answer = await this.#breaker.run(signal, ask)
      this.#outage = undefined
      return answer
    } catch (error) {
      if (!signal.aborted && isOutage(error)) {
        this.#outage = { why: (error as Error).message, at: performance.now() }
      }
      throw error
    }
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
    const { error } = (await this.#health.ask(() => this.#check())).value
    if (error !== null) throw new AppError('unreachable', error)
  }

  #noteUp(up: boolean): void {
    if (up) this.#breaker.close()
    this.#options.onUp?.(up)
  }
}
