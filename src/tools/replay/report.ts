import { printLine } from '../../platform/stdout.ts'
import { grouped } from '../table.ts'
import type { Tally } from './send.ts'

/* What a replay and an import say while they run, and at their end. */

/** Maximum unreadable lines that are named; the others are only counted. */
const badShown = 10

export const say = (text: string) => void process.stderr.write(`${text}\n`)

/** Says each reason once. @param before frees the line of the bar */
export function sayOnce(before: () => void): (why: string) => void {
  const said = new Set<string>()
  return (why) => {
    if (said.has(why)) return
    said.add(why)
    before()
    say(`waiting: ${why}`)
  }
}

/** The lines of a file that cannot be read: counted, and the first ones named. */
export class BadLines {
  count = 0
  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  add({ line, why }: { line: number; why: string }): void {
    this.count++
    if (this.count <= badShown) say(`${this.#file}:${line}: ${why}`)
    if (this.count === badShown) say('further lines that cannot be read are only counted')
  }
}

export type SummaryRow = readonly [what: string, count: number]

/** A tally as JSON has it. */
export function toCounts({ accepted, duplicates, retries, rejected }: Tally) {
  return { accepted, duplicates, retries, rejected: Object.fromEntries(rejected) }
}

/** What became of the events. */
export const sentRows = (
  { sent, seconds }: { sent: number; seconds: number },
  { accepted, duplicates, rejected }: Tally,
): SummaryRow[] => [
  ['events sent', sent],
  ['accepted', accepted],
  ['duplicates', duplicates],
  ...[...rejected].map(([why, n]): SummaryRow => [`rejected: ${why}`, n]),
  ['events per second', Math.round(sent / Math.max(seconds, 0.001))],
]

export function printRows(rows: readonly SummaryRow[]): Promise<void> {
  const line = ([what, n]: SummaryRow) => `${what.padEnd(20)} ${grouped(n).padStart(12)}`
  return printLine(rows.map(line).join('\n'))
}
