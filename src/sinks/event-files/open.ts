import {
  type Outgoing,
  type Refusal,
  type Sink,
  toJudged,
  type Verdict,
} from '../../core/delivery.ts'
import { AppError } from '../../core/errors.ts'
import type { Event } from '../../core/event.ts'
import { findUnfit } from '../../core/event-columns.ts'
import { eventId } from '../../core/event-id.ts'
import { LockHeld } from '../../platform/lock-file.ts'
import { EventFiles, type WriterOptions } from './writer.ts'

/** A sink that writes a line for each event. */
export function openEventFiles(
  options: WriterOptions,
  toLine: (event: Event, body: string) => string,
): Sink {
  const files = new EventFiles(options)
  const { output_dir } = options
  return {
    async deliver(batch, signal) {
      const refusals = batch.map(({ event }) => findUnfit(event))
      const lines = batch.flatMap((sent, i) => (refusals[i] ? [] : toLineOf(sent, toLine)))
      const [first] = batch
      const lastSeq = batch.at(-1)?.seq ?? 0
      try {
        const id = first?.event && !refusals[0] ? eventId(first.event) : ''
        const state = await files.append(
          { lines, first: { seq: first?.seq ?? 0, id }, lastSeq },
          signal,
        )
        return toJudged(batch, refusals.map(toVerdict), state)
      } catch (error) {
        return { kind: 'failed', reason: explain(error as Error, output_dir) }
      }
    },
    async probe() {
      try {
        const lack = await files.probe()
        return lack && explain(new Error(lack), output_dir)
      } catch (error) {
        return explain(error as Error, output_dir)
      }
    },
    close: () => files.close(),
  }
}

const toVerdict = (refusal: Refusal | undefined): Verdict => refusal ?? 'taken'

function toLineOf({ seq, event, body }: Outgoing, toLine: (event: Event, body: string) => string) {
  return event ? [{ seq, text: toLine(event, body) }] : []
}

function explain(error: Error, dir: string): string {
  if (error instanceof LockHeld) {
    return `${dir} is used by process ${error.pid}; give each sink and each sidecar a folder of its own`
  }
  if (error instanceof AppError) return `it cannot write in ${dir}: ${error.message}`
  const { code } = error as NodeJS.ErrnoException
  return `it cannot write in ${dir}: ${code ?? error.message}`
}
