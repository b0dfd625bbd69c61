import { sleep } from '../../platform/backoff.ts'
import { printLine } from '../../platform/stdout.ts'
import type { Sidecar } from '../sidecar.ts'
import { grouped } from '../table.ts'
import { openPlace } from './checkpoint.ts'
import { planSteps, type Step, toEvent } from './events.ts'
import { progressBar } from './progress.ts'
import { readRecords } from './records.ts'
import { sendAll, type Tally } from './send.ts'

export type ReplayOptions = {
  file: string
  sidecar: Sidecar
  siteId: string
  /** Factor over the time of the trace; 0 sends as fast as the sidecar takes it. */
  speed: number
  /** Folder that keeps the position, to continue there; without it a replay starts from the beginning. */
  state?: string | undefined
  json: boolean
}

const batchSize = 500
/** Maximum delay of a timer; with a longer one it would fire immediately. */
const longestSleepMs = 2 ** 31 - 1
/** Unreadable lines that are named; the others are counted. */
const badShown = 10

const say = (text: string) => void process.stderr.write(`${text}\n`)

/**
 * Replays a file of recorded jobs.
 *
 * @returns the exit code: 0 all taken, 1 something was refused or it was stopped on its way
 * @throws ConfigError or AppError that says what is wrong
 */
export async function runReplay(options: ReplayOptions, signal: AbortSignal): Promise<number> {
  const { file, sidecar, siteId, speed, state } = options
  let bad = 0
  const records = await readRecords(file, ({ line, why }) => {
    if (++bad <= badShown) say(`${file}:${line}: ${why}`)
  })
  const { steps, waiting } = planSteps(records)
  const place = openPlace({ state, file, url: sidecar.url, siteId }, steps)
  const { from } = place
  if (from > 0) say(`continuing after ${grouped(from)} events`)
  const tally: Tally = { accepted: 0, duplicates: 0, rejected: new Map(), retries: 0 }
  const bar = progressBar(steps.length, from)
  const way = { sidecar, signal, onWait: sayOnce(bar.clear) }
  const due = schedule(steps, from, speed, signal)
  const startedAt = performance.now()
  let sent = from
  while (sent < steps.length && !signal.aborted) {
    bar.show(sent)
    const batch = await due(sent)
    await sendAll(
      way,
      batch.map((step) => toEvent(step, siteId)),
      tally,
    )
    if (signal.aborted) break
    sent += batch.length
    place.write(sent)
  }
  bar.end(sent)
  const seconds = (performance.now() - startedAt) / 1000
  const of = steps.length
  await report(
    options,
    { records: records.length, waiting, bad, sent: sent - from, of, seconds },
    tally,
  )
  const stopped = sent < of
  if (stopped)
    say(
      `stopped; ${state ? 'the same command continues here' : 'with --state it can be continued later'}`,
    )
  return tally.rejected.size > 0 || bad > 0 || stopped ? 1 : 0
}

/** Each reason once. */
function sayOnce(before: () => void) {
  const said = new Set<string>()
  return (why: string) => {
    if (said.has(why)) return
    said.add(why)
    before()
    say(`waiting: ${why}`)
  }
}

/** The next events that are due: a full batch when in a hurry, what is due now otherwise. */
function schedule(steps: readonly Step[], from: number, speed: number, signal: AbortSignal) {
  const startedAt = performance.now()
  const dueMs = (step: Step) => (step.atMs - steps[from]!.atMs) / speed
  return async (sent: number): Promise<readonly Step[]> => {
    if (speed === 0) return steps.slice(sent, sent + batchSize)
    const dueAt = startedAt + dueMs(steps[sent]!)
    while (performance.now() < dueAt && !signal.aborted) {
      await sleep(Math.min(longestSleepMs, dueAt - performance.now()), signal)
    }
    const elapsed = performance.now() - startedAt
    let end = sent + 1
    while (end < steps.length && end - sent < batchSize && dueMs(steps[end]!) <= elapsed) end++
    return steps.slice(sent, end)
  }
}

type Summary = {
  records: number
  waiting: number
  bad: number
  sent: number
  of: number
  seconds: number
}

function report({ json }: ReplayOptions, summary: Summary, tally: Tally): Promise<void> {
  const rejected = Object.fromEntries(tally.rejected)
  const { accepted, duplicates, retries } = tally
  if (json)
    return printLine(JSON.stringify({ ...summary, accepted, duplicates, retries, rejected }))
  const rows: [string, number][] = [
    ['records', summary.records],
    ['not started: no event', summary.waiting],
    ['unreadable lines', summary.bad],
    ['events sent', summary.sent],
    ['accepted', accepted],
    ['already known', duplicates],
    ...[...tally.rejected].map(([why, n]): [string, number] => [`refused: ${why}`, n]),
    ['events per second', Math.round(summary.sent / Math.max(summary.seconds, 0.001))],
  ]
  const line = ([what, n]: [string, number]) => `${what.padEnd(20)} ${grouped(n).padStart(12)}`
  return printLine(rows.map(line).join('\n'))
}
