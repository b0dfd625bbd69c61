import {
  type Delivery,
  type Failure,
  type Outgoing,
  type Refusal,
  type Sink,
  toJudged,
  type Verdict,
} from '../../core/delivery.ts'
import { clock } from '../../platform/clock.ts'
import { Lru } from '../../platform/lru.ts'
import type { SinkContext } from '../kind.ts'
import { isRefusal, type Line, toLine, toRequests } from './lines.ts'
import { LogStream } from './log-stream.ts'
import { MetricSender } from './metric-sender.ts'
import type { Outcome } from './outcome.ts'
import type { Settings } from './settings.ts'

/** Events are remembered whose line is stored and whose metrics are not: more are never under way. */
const maxStored = 50_000

/**
 * An event is taken when its line is stored and its metrics are counted. Lines go first: of a repeat the line is
 * known by its id, while a metric counts twice. What is stored is not sent again because of what is not counted.
 */
export function openCloudWatch(settings: Settings, _context: SinkContext): Sink {
  const logs = new LogStream(settings)
  const metrics = new MetricSender(settings)
  const stored = new Lru<string, true>(maxStored)

  return {
    async deliver(batch, signal) {
      const lines = batch.map(({ event }) => toLine(event, clock.nowMs()))
      const work = new Work(stored)
      const fit = lines.filter((line) => !isRefusal(line)) as Line[]
      const unsaid = fit.filter(({ id }) => stored.get(id) === undefined)
      await work.run(toRequests(unsaid), (request) => logs.put(request, signal), work.onLines)
      const counted = fit.filter((line) => line.measurements.length > 0 && work.isStored(line))
      await work.run(
        metrics.requests.make(counted),
        (request) => metrics.put(request, signal),
        ({ lines: of }, outcome) => work.onMetrics(of, outcome),
      )
      return work.toDelivery(batch, lines)
    },
    probe: async (signal) => (await logs.probe(signal)) ?? (await metrics.probe(signal)),
    close: () => {
      logs.close()
      metrics.close()
    },
  }
}

/** What became of the events of one batch, by their ids. */
class Work {
  readonly #stored: Lru<string, true>
  readonly #verdicts = new Map<string, Verdict>()
  #failure: Failure | undefined
  #isSplit = false

  constructor(stored: Lru<string, true>) {
    this.#stored = stored
  }

  isStored = ({ id }: Line): boolean => this.#stored.get(id) !== undefined

  /** One request after the other, up to the first that fails. */
  async run<Request>(
    requests: readonly Request[],
    put: (request: Request) => Promise<Outcome>,
    note: (request: Request, outcome: Exclude<Outcome, Failure>) => void,
  ): Promise<void> {
    for (const request of requests) {
      if (this.#failure) return
      const outcome = await put(request)
      if (outcome.kind === 'failed') this.#failure = outcome
      else note(request, outcome)
    }
  }

  onLines = (lines: readonly Line[], outcome: Exclude<Outcome, Failure>): void => {
    if (outcome.kind === 'refused') this.#refuse(lines, outcome)
    else this.#store(lines, outcome.refused)
  }

  #store(lines: readonly Line[], refused: ReadonlyMap<string, Refusal>): void {
    for (const { id } of lines) {
      const refusal = refused.get(id)
      if (refusal) this.#verdicts.set(id, refusal)
      else this.#stored.set(id, true)
    }
  }

  onMetrics(lines: readonly Line[], outcome: Exclude<Outcome, Failure>): void {
    if (outcome.kind === 'refused') this.#refuse(lines, outcome)
    else for (const { id } of lines) this.#verdicts.set(id, 'taken')
  }

  /** Only of an event that is alone it is known that it is to blame. */
  #refuse(lines: readonly Line[], { refusal }: Extract<Outcome, { kind: 'refused' }>): void {
    const ids = new Set(lines.map(({ id }) => id))
    if (ids.size > 1) this.#isSplit = true
    else for (const id of ids) this.#verdicts.set(id, refusal)
  }

  toDelivery(batch: readonly Outgoing[], lines: readonly (Line | Refusal)[]): Delivery {
    const verdicts = lines.map((line) => (isRefusal(line) ? line : this.#judge(line)))
    const isIdle = verdicts.every((verdict) => verdict === 'later')
    // Not before what other requests of the batch have brought about is recorded: metrics would count again.
    if (isIdle && this.#isSplit && batch.length > 1) return { kind: 'too_large' }
    if (isIdle && this.#failure) return this.#failure
    for (const [i, line] of lines.entries()) {
      if (verdicts[i] !== 'later' && !isRefusal(line)) this.#stored.delete(line.id)
    }
    return toJudged(batch, verdicts)
  }

  #judge(line: Line): Verdict {
    const verdict = this.#verdicts.get(line.id)
    if (verdict !== undefined) return verdict
    return line.measurements.length === 0 && this.isStored(line) ? 'taken' : 'later'
  }
}
