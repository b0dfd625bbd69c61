import type { BatchLimits, Delivery, Outgoing, Verdict } from '../core/delivery.ts'
import { must } from '../core/must.ts'
import { Backoff } from '../platform/backoff.ts'
import type { Rejects, Retried, SettledRetry } from './rejects.ts'

/**
 * The rejects of one sink that are offered to it again, before new events. When none is taken or refused they
 * wait, longer each time, and new events do not wait for them.
 */
export class RetryDrain {
  readonly #rejects: Rejects
  readonly #of: { sink: string; limits: BatchLimits }
  readonly #backoff = new Backoff({ firstMs: 200, maxMs: 30_000 })
  /** Before this they are not offered, by performance.now(). */
  #nextMs = 0
  #batchSize: number

  constructor(rejects: Rejects, of: { sink: string; limits: BatchLimits }) {
    this.#rejects = rejects
    this.#of = of
    this.#batchSize = of.limits.events
  }

  get isDue(): boolean {
    return performance.now() >= this.#nextMs && this.#rejects.countDue(this.#of.sink) > 0
  }

  /**
   * Offers a batch, if one is due.
   *
   * @param note takes the state of the answer, before the rejects that it covers leave
   * @returns whether any was taken or refused
   */
  async offer(
    ask: (events: readonly Outgoing[]) => Promise<Delivery>,
    note: (state: string) => void,
  ): Promise<boolean> {
    if (!this.isDue) return false
    const { sink, limits } = this.#of
    const batch = this.#rejects.due(sink, this.#batchSize, limits.bytes)
    const delivery = await ask(batch.map(({ event }) => event))
    const isTooLarge = delivery.kind === 'too_large'
    this.#batchSize = isTooLarge ? Math.max(1, Math.floor(batch.length / 2)) : limits.events
    if (delivery.kind === 'judged' && delivery.state !== undefined) note(delivery.state)
    const isSettled = delivery.kind === 'judged' && this.#settle(batch, delivery.verdicts)
    if (isSettled) this.#backoff.reset()
    else if (!isTooLarge) this.#nextMs = performance.now() + this.#backoff.next()
    return isSettled
  }

  /** Records the verdicts. @returns whether any was taken or refused */
  #settle(batch: readonly Retried[], verdicts: readonly Verdict[]): boolean {
    const settled = batch.flatMap((one, i): SettledRetry[] => {
      const verdict = must(verdicts[i], 'there is a verdict on each event')
      return verdict === 'later' ? [] : [{ ...one, verdict }]
    })
    try {
      if (settled.length > 0) this.#rejects.settleRetried(this.#of.sink, settled)
      return settled.length > 0
    } catch {
      // The disk guard has it; they are offered again.
      return false
    }
  }
}
