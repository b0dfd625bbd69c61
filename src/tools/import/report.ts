import { toMs } from '../../core/time.ts'
import { printLine } from '../../platform/stdout.ts'
import { type BadLines, printRows, type SummaryRow, sentRows, toCounts } from '../replay/report.ts'
import type { Tally } from '../replay/send.ts'
import type { Found } from './pieces.ts'

/** Maximum reasons for pieces that report nothing that are named. */
const reasonsShown = 20

/** What was found in a file, and what became of it. */
export class Summary {
  readonly format: string
  readonly bad: BadLines
  readonly tally: Tally
  /** Events that an earlier run sent. */
  readonly from: number
  events = 0
  sent = 0
  seconds = 0
  readonly #startedAt = performance.now()
  readonly #kinds = new Map<string, number>()
  readonly #skipped = new Map<string, number>()
  /** The first and the last time of an event. */
  #first = '~'
  #last = ''

  constructor(format: string, bad: BadLines, tally: Tally, from: number) {
    this.format = format
    this.bad = bad
    this.tally = tally
    this.from = from
  }

  add(found: Found): void {
    if ('why' in found) this.bad.add(found)
    else if ('skipped' in found) this.#skip(found.skipped)
    else {
      const { kind, at } = found.event.event
      this.events++
      count(this.#kinds, kind)
      if (at < this.#first) this.#first = at
      if (at > this.#last) this.#last = at
    }
  }

  end(): void {
    this.seconds = (performance.now() - this.#startedAt) / 1000
  }

  #skip(reason: string): void {
    const isKnown = this.#skipped.has(reason) || this.#skipped.size < reasonsShown
    count(this.#skipped, isKnown ? reason : 'others')
  }

  /** As JSON; times are absent when there is no event. */
  toJson(): object {
    const { format, events, bad, sent, seconds } = this
    const times = events > 0 ? { first_at: this.#first, last_at: this.#last } : {}
    return {
      ...{ format, events, kinds: Object.fromEntries(this.#kinds), ...times },
      ...{ skipped: Object.fromEntries(this.#skipped), bad: bad.count, sent, seconds },
      ...toCounts(this.tally),
    }
  }

  /** What was found. */
  foundRows(): SummaryRow[] {
    return [
      ['events', this.events],
      ...[...this.#kinds].map(([kind, n]): SummaryRow => [`  ${kind}`, n]),
      ...[...this.#skipped].map(([why, n]): SummaryRow => [`no event: ${why}`, n]),
      ['unreadable lines', this.bad.count],
    ]
  }

  /** The time that the events cover. */
  span(): string {
    const days = (toMs(this.#last) - toMs(this.#first)) / 86_400_000
    return `from ${this.#first} to ${this.#last} (${days.toFixed(1)} days)`
  }
}

const count = (counts: Map<string, number>, name: string) =>
  void counts.set(name, (counts.get(name) ?? 0) + 1)

export async function printSummary(
  summary: Summary,
  { json, dryRun }: { json: boolean; dryRun: boolean },
): Promise<void> {
  if (json) return printLine(JSON.stringify(summary.toJson()))
  if (summary.events > 0) await printLine(summary.span())
  await printRows([...summary.foundRows(), ...(dryRun ? [] : sentRows(summary, summary.tally))])
  if (dryRun) await printLine('a dry run: nothing was sent')
}
