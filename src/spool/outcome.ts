import type { Logger } from 'pino'
import type { Failure } from '../core/delivery.ts'
import { Backoff } from '../platform/backoff.ts'
import { clock } from '../platform/clock.ts'
import type { Metrics } from '../platform/metrics.ts'

/** Maximum wait that a sink may ask for. */
const maxRetryAfterMs = 3_600_000

/** `failures`: in a row; `isStopped`: an operator has to act; `lastError`: also when it works again. */
export type DrainState = {
  failures: number
  isStopped: boolean
  reason: string | undefined
  lastError: string | undefined
  lastDeliveryMs: number
}

export type OutcomeOptions = { sink: string; log: Logger; metrics: Metrics }

/** How delivery to one sink goes: counted, logged, and how long to wait after a failure. */
export class Outcome {
  readonly state: DrainState = {
    ...{
      failures: 0,
      isStopped: false,
      reason: undefined,
      lastError: undefined,
      lastDeliveryMs: 0,
    },
  }
  readonly #options: OutcomeOptions
  readonly #backoff = new Backoff({ firstMs: 200, maxMs: 30_000 })

  constructor(options: OutcomeOptions) {
    this.#options = options
  }

  delivered(): void {
    const { sink, metrics, log } = this.#options
    const { failures } = this.state
    metrics.sinkDeliveries.inc({ sink, result: 'delivered' })
    if (failures > 0) log.info({ sink, failures }, 'delivery works again')
    this.#backoff.reset()
    Object.assign(this.state, { failures: 0, isStopped: false, reason: undefined })
    this.state.lastDeliveryMs = clock.nowMs()
  }

  /** @param waiting events that wait @returns how long to wait, in milliseconds */
  failed(failure: Failure, waiting: number): number {
    const { sink, metrics } = this.#options
    metrics.sinkDeliveries.inc({ sink, result: 'failed' })
    const retryAfterMs = Math.min(failure.retryAfterMs ?? 0, maxRetryAfterMs)
    const waitMs = Math.max(this.#backoff.next(), retryAfterMs)
    this.state.failures++
    this.state.isStopped = failure.permanent === true
    this.state.reason = failure.reason
    this.state.lastError = failure.reason
    this.#log(failure, waitMs, waiting)
    return waitMs
  }

  /** Louder the longer it lasts: a blip is not news, an outage is. */
  #log({ reason, permanent }: Failure, waitMs: number, waiting: number): void {
    const { sink, log } = this.#options
    const { failures } = this.state
    const fields = { sink, reason, failures, retry_ms: Math.round(waitMs), waiting }
    if (failures >= 10) log.error(fields, 'delivery keeps failing')
    else if (failures >= 3 || permanent) log.warn(fields, 'delivery fails')
    else log.info(fields, 'delivery failed, will retry')
  }
}
