import type { Admitted, Verdict } from '../core/admission.ts'
import { AppError } from '../core/errors.ts'
import { ensure, must } from '../core/must.ts'
import { type EventLimits, type FirstHop, type ReadEvent, readEvent } from '../core/read-event.ts'
import type { EventCounts } from '../platform/effect.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Gate, Turns } from '../platform/turns.ts'
import { explainShape, Shapes } from './batch-shape.ts'
import { IngestTally } from './ingest-tally.ts'
import { type Batch, readItem } from './read-batch.ts'

type Rejected = {
  index: number
  idempotency_key: string | null
  field: string
  detail: string
  retryable?: true
}

/** What happens to the events of a batch, and the turns in which they are read. */
export type BatchWork = {
  metrics: Metrics
  /** Outcomes of the last minutes, for health. */
  recent: EventCounts
  limits: EventLimits
  /** The texts of events are worth keeping. */
  forwards?: boolean
  hop: FirstHop
  /** Nobody is there any more to read the answer. */
  isGone: () => boolean
  turns: Turns
  /** For the parts of batches that have several: what they hold, and how long a commit takes. */
  parts: Gate
  /** Makes events durable, in the traces that they came in. */
  accept: (items: readonly Admitted[]) => Promise<readonly Verdict[]>
}

/** Events that are accepted together, and bytes of their text: what a batch holds parsed. */
const [partItems, partBytes] = [1000, 2 * 2 ** 20]
/** Events, and bytes of their text, that are read in one turn of the event loop. */
const [turnItems, turnBytes] = [500, 256 * 1024]

/**
 * Reads and accepts the events of a batch, a part at a time, so that a large batch neither holds up
 * other callers nor takes memory for all its events at the same time. What was accepted before a
 * later part fails is a duplicate when the batch is sent again.
 *
 * @returns the answer
 * @throws AppError unreadable, or as `accept`; invalid, when none of it is an event; overloaded, when
 * there was room for none
 */
export async function takeBatch(batch: Batch, work: BatchWork): Promise<object> {
  const tally = new IngestTally()
  const outcome = new Outcome(tally)
  const shapes = new Shapes()
  try {
    const takePart = async () => {
      if (work.isGone()) throw gone()
      const reads = await readPart(batch, outcome.total, work, { tally, shapes })
      const good = reads.filter((read) => read.ok)
      outcome.add(reads, good.length > 0 ? await work.accept(good) : [])
    }
    const { cuts, text } = batch
    const isOnePart = cuts.length <= partItems && text.length <= partBytes
    while (outcome.total < cuts.length) {
      await (isOnePart ? takePart() : work.parts.run(takePart))
    }
    shapes.assertEvents(outcome.total)
    return outcome.toAnswer()
  } finally {
    tally.countIn(work.metrics, work.recent)
  }
}

async function readPart(
  batch: Batch,
  from: number,
  { limits, forwards, hop, turns }: BatchWork,
  { tally, shapes }: { tally: IngestTally; shapes: Shapes },
): Promise<ReadEvent[]> {
  const reads: ReadEvent[] = []
  let [bytes, turnEnds] = [0, turnBytes]
  const last = Math.min(batch.cuts.length, from + partItems)
  for (let i = from; i < last && bytes < partBytes; i++) {
    if (bytes > turnEnds || (i > from && i % turnItems === 0)) {
      await turns.next()
      turnEnds = bytes + turnBytes
    }
    const item = readItem(batch, i, limits)
    const { start, end } = must(batch.cuts[i], 'it was read')
    const read: ReadEvent =
      'detail' in item
        ? { ok: false, idempotencyKey: null, field: item.field, detail: item.detail }
        : readEvent(item.input, hop, limits, item.plain, forwards ? item.text : undefined)
    reads.push(tally.see(read))
    if (!read.ok) shapes.add(explainShape(item, batch.text.slice(start, end)))
    bytes += end - start
  }
  return reads
}

/** The verdicts on a batch, put together part by part. */
class Outcome {
  total = 0
  #duplicates = 0
  readonly #rejected: Rejected[] = []
  readonly #truncated: number[] = []
  readonly #tally: IngestTally
  #unstamped = false

  constructor(tally: IngestTally) {
    this.#tally = tally
  }

  /** @param verdicts of those reads that are good, in order */
  add(reads: readonly ReadEvent[], verdicts: readonly Verdict[]): void {
    let next = 0
    for (const read of reads) {
      const index = this.total++
      if (read.ok) {
        const verdict = must(verdicts[next++], 'accept gives a verdict per event')
        this.#judge(index, read, verdict)
        if (read.truncated) this.#truncated.push(index)
        this.#unstamped ||= read.unstamped
      } else {
        const { idempotencyKey, field, detail } = read
        this.#rejected.push({ index, idempotency_key: idempotencyKey, field, detail })
      }
    }
    ensure(next === verdicts.length, 'accept gives a verdict per event')
  }

  #judge(index: number, { event }: Admitted, verdict: Verdict): void {
    this.#tally.add(event, verdict)
    if (verdict === 'duplicate') this.#duplicates++
    if (typeof verdict !== 'object') return
    const common = { index, idempotency_key: event.idempotency_key, field: '' }
    this.#rejected.push(
      'later' in verdict
        ? { ...common, detail: verdict.later, retryable: true }
        : { ...common, detail: verdict.refused },
    )
  }

  /** @throws AppError when there is room for none: clearer than a list that says the same of each */
  toAnswer(): object {
    const [rejected, failed] = [this.#rejected, this.#rejected.length]
    const { total } = this
    const [first] = rejected
    if (first?.retryable && failed === total && rejected.every((one) => isSame(one, first))) {
      throw later(first.detail)
    }
    return {
      ok: failed < total || total === 0,
      total,
      success: total - failed,
      failed,
      duplicates: this.#duplicates,
      rejected,
      ...(this.#unstamped ? { stamps: 'ignored' } : {}),
      ...(this.#truncated.length > 0 ? { truncated: this.#truncated } : {}),
    }
  }
}

const isSame = (one: Rejected, { detail }: Rejected) => one.retryable && one.detail === detail

/** What is left of a batch comes again, and would only keep others waiting. */
const gone = () =>
  new AppError('unreadable', 'the caller went away before all events were accepted')

/** How soon to come back when there was no room, in seconds. */
const retryAfterS = 5

export const later = (detail: string) => new AppError('overloaded', detail, { retryAfterS })
