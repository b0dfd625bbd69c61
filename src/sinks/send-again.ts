import {
  assertDelivery,
  type Delivery,
  type Failure,
  Outgoing,
  type Refusal,
  type Verdict,
} from '../core/delivery.ts'
import { AppError } from '../core/errors.ts'
import type { Event } from '../core/event.ts'
import { toMarks } from '../core/event-marks.ts'
import { must } from '../core/must.ts'
import { isWanted } from '../core/sink-filter.ts'
import { Backoff, sleep } from '../platform/backoff.ts'
import type { OpenSink } from './index.ts'

/** How far it is. `refused`: events that the sink will never take. */
export type SentAgain = { read: number; filtered: number; taken: number; refused: number }

export type SendAgainOptions = {
  sink: OpenSink
  /** In their order, some at a time, as they were received. */
  pages: AsyncIterable<readonly Event[]>
  signal: AbortSignal
  /** Called after each answer. @param at time of the last event that was settled with all before it */
  onProgress: (sent: SentAgain, at: string) => void
  onRefused: (event: Event, refusal: Refusal) => void
  /** Called before each wait. */
  onFailure: (failure: Failure, waitMs: number) => void
}

/**
 * Delivers events to a sink that it may have had before, with the keys and stamps that they had: one batch at a time,
 * in their order, each event until it is taken or refused. What passes by itself is waited for.
 *
 * @throws AppError unavailable for a failure that an operator has to end
 */
export async function sendAgain(options: SendAgainOptions): Promise<SentAgain> {
  const { sink, pages, signal } = options
  const sent: SentAgain = { read: 0, filtered: 0, taken: 0, refused: 0 }
  const sender = new Sender(options, sent)
  let seq = 0
  for await (const page of pages) {
    for (const event of page) {
      if (signal.aborted) return sent
      sent.read++
      const outgoing = new Outgoing(++seq, JSON.stringify(event), toMarks(event))
      if (isWanted(outgoing, sink.filter)) await sender.add(outgoing)
      else sent.filtered++
    }
  }
  await sender.finish()
  return sent
}

class Sender {
  readonly #options: SendAgainOptions
  readonly #sent: SentAgain
  readonly #backoff = new Backoff({ firstMs: 200, maxMs: 30_000 })
  #batch: Outgoing[] = []
  #bytes = 0
  #limit: number

  constructor(options: SendAgainOptions, sent: SentAgain) {
    this.#options = options
    this.#sent = sent
    this.#limit = options.sink.limits.events
  }

  /** Takes an event for the next batch, which goes out when it is full. */
  async add(event: Outgoing): Promise<void> {
    const { limits } = this.#options.sink
    if (this.#bytes + event.bytes > limits.bytes) await this.finish()
    this.#batch.push(event)
    this.#bytes += event.bytes
    if (this.#batch.length >= limits.events) await this.finish()
  }

  /** Offers what waits until all of it is settled, or the signal aborts. */
  async finish(): Promise<void> {
    const last = this.#batch.at(-1)
    let rest = this.#batch
    this.#batch = []
    this.#bytes = 0
    while (rest.length > 0 && !this.#options.signal.aborted) {
      const batch = rest.slice(0, this.#limit)
      rest = [...(await this.#offer(batch)), ...rest.slice(batch.length)]
    }
    if (last && rest.length === 0) this.#options.onProgress(this.#sent, last.event?.event.at ?? '')
  }

  /** @returns those that are to be offered again */
  async #offer(batch: readonly Outgoing[]): Promise<readonly Outgoing[]> {
    const answer: Delivery = await this.#options.sink.deliver(batch, this.#options.signal)
    assertDelivery(answer, batch.length)
    if (answer.kind === 'too_large') {
      this.#limit = Math.max(1, Math.floor(batch.length / 2))
      return batch
    }
    if (answer.kind === 'failed') {
      await this.#waitAfter(answer)
      return batch
    }
    this.#limit = Math.min(this.#options.sink.limits.events, this.#limit * 2)
    const again = batch.filter((event, i) => !this.#settle(event, answer.verdicts[i]))
    if (again.length < batch.length) this.#backoff.reset()
    else
      await this.#waitAfter({ kind: 'failed', reason: 'it cannot take more events at the moment' })
    return again
  }

  /** @returns whether it need not be offered again */
  #settle({ event }: Outgoing, verdict: Verdict | undefined): boolean {
    if (verdict === 'later') return false
    if (verdict === 'taken') this.#sent.taken++
    else {
      this.#sent.refused++
      const refusal = must(verdict, 'there is a verdict on each event')
      this.#options.onRefused(must(event, 'it was an event'), refusal)
    }
    return true
  }

  async #waitAfter(failure: Failure): Promise<void> {
    const { signal, sink, onFailure } = this.#options
    if (signal.aborted) return
    if (failure.permanent) {
      throw new AppError(
        'unavailable',
        `the sink ${sink.name} does not take events: ${failure.reason}`,
      )
    }
    const waitMs = Math.max(this.#backoff.next(), Math.min(failure.retryAfterMs ?? 0, 3_600_000))
    onFailure(failure, waitMs)
    await sleep(waitMs, signal)
  }
}
