import { must } from '../../core/must.ts'
import { sleep } from '../../platform/backoff.ts'
import { printLine } from '../../platform/stdout.ts'
import { openClient, type Sidecar } from '../sidecar.ts'
import { grouped } from '../table.ts'
import { type Checkpoint, openCheckpoint } from './checkpoint.ts'
import { eventMaker, planSteps, type Step } from './events.ts'
import { progressBar } from './progress.ts'
import { readRecords } from './records.ts'
import { BadLines, printRows, say, sayOnce, sentRows, toCounts } from './report.ts'
import { batchSize, newTally, sendAll, type Tally, timeoutMs } from './send.ts'

export type ReplayOptions = {
  file: string
  sidecar: Sidecar
  siteId: string
  /** Speed relative to the recording; 0 sends as fast as possible. */
  speed: number
  /** Folder for the position, from which the next run continues; without it, from the start. */
  state?: string | undefined
  json: boolean
}

/** Longest time that a timer can wait; with more it would not wait at all. */
const longestSleepMs = 2 ** 31 - 1

/**
 * Replays a file of recorded jobs.
 *
 * @returns the exit code: 0 when all were accepted, 1 when something was rejected or it was stopped
 * @throws ConfigError or AppError that says what is wrong
 */
export async function runReplay(options: ReplayOptions, signal: AbortSignal): Promise<number> {
  const { file, sidecar, siteId, state } = options
  const bad = new BadLines(file)
  const records = await readRecords(file, (one) => bad.add(one))
  const { steps, timeless } = planSteps(records)
  const checkpoint = openCheckpoint({ state, file, url: sidecar.url, siteId }, steps)
  const { from } = checkpoint
  if (from > 0) say(`continues after ${grouped(from)} events`)
  const tally = newTally()
  const startedAt = performance.now()
  const sent = await sendSteps(options, steps, { checkpoint, tally, signal })
  const seconds = (performance.now() - startedAt) / 1000
  const of = steps.length
  const summary = {
    records: records.length,
    timeless,
    bad: bad.count,
    sent: sent - from,
    of,
    seconds,
  }
  await report(options, summary, tally)
  const stopped = sent < of
  const later = state
    ? 'run the same command to continue'
    : 'only with --state can it continue later'
  if (stopped) say(`stopped; ${later}`)
  return tally.rejected.size > 0 || bad.count > 0 || stopped ? 1 : 0
}

type Progress = { checkpoint: Checkpoint; tally: Tally; signal: AbortSignal }

/** Sends the steps that are left, batch by batch. @returns the number of steps that are done */
async function sendSteps(
  { sidecar, siteId, speed }: ReplayOptions,
  steps: readonly Step[],
  { checkpoint, tally, signal }: Progress,
): Promise<number> {
  const { from } = checkpoint
  const bar = progressBar(steps.length, from)
  const client = openClient(sidecar, timeoutMs)
  const target = { client, url: sidecar.url, signal, onWait: sayOnce(bar.clear) }
  const takeDue = schedule(steps, from, speed, signal)
  const makeEvent = eventMaker(siteId)
  for (const step of steps.slice(0, from)) makeEvent(step)
  let sent = from
  try {
    while (sent < steps.length && !signal.aborted) {
      bar.show(sent)
      const batch = await takeDue(sent)
      const events = batch.map(makeEvent)
      await sendAll(target, events, tally)
      if (signal.aborted) break
      sent += batch.length
      checkpoint.write(sent)
    }
    bar.end(sent)
  } finally {
    client.close()
  }
  return sent
}

/** Gives the next steps: with speed 0 a full batch, otherwise those that are due. */
function schedule(steps: readonly Step[], from: number, speed: number, signal: AbortSignal) {
  const startedAt = performance.now()
  const at = (index: number) => must(steps[index], 'there are steps left').atMs
  const dueMs = (index: number) => (at(index) - at(from)) / speed
  return async (sent: number): Promise<readonly Step[]> => {
    if (speed === 0) return steps.slice(sent, sent + batchSize)
    const dueAt = startedAt + dueMs(sent)
    while (performance.now() < dueAt && !signal.aborted) {
      await sleep(Math.min(longestSleepMs, dueAt - performance.now()), signal)
    }
    const elapsed = performance.now() - startedAt
    let end = sent + 1
    while (end < steps.length && end - sent < batchSize && dueMs(end) <= elapsed) end++
    return steps.slice(sent, end)
  }
}

type Summary = {
  records: number
  timeless: number
  bad: number
  sent: number
  of: number
  seconds: number
}

function report({ json }: ReplayOptions, summary: Summary, tally: Tally): Promise<void> {
  if (json) return printLine(JSON.stringify({ ...summary, ...toCounts(tally) }))
  return printRows([
    ['records', summary.records],
    ['no time: no event', summary.timeless],
    ['unreadable lines', summary.bad],
    ...sentRows(summary, tally),
  ])
}
