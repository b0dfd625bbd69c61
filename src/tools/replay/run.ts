import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { sleep } from '../../platform/backoff.ts'
import { eventOf, planSteps, type Step } from './events.ts'
import { readRecords } from './records.ts'
import { sendAll, type Tally } from './send.ts'

export type ReplayOptions = {
  file: string
  url: string
  siteId: string
  /** Factor over the time of the trace; 0 sends as fast as the sidecar takes it. */
  speed: number
  /** Folder in which to note how far it came, to go on there; begins at the start unless set. */
  state?: string | undefined
  json: boolean
}

const batchSize = 500

/** Replays a file of recorded jobs. @returns the exit code: 0 all taken, 1 something was refused */
export async function runReplay(options: ReplayOptions, signal: AbortSignal): Promise<number> {
  const say = (text: string) => void process.stderr.write(text)
  let bad = 0
  const records = await readRecords(options.file, ({ line, why }) => {
    if (++bad <= 10) say(`${options.file}:${line}: ${why}\n`)
  })
  const { steps, waiting } = planSteps(records)
  const tally: Tally = { accepted: 0, duplicates: 0, rejected: new Map(), retries: 0 }
  const place = placeOf(options)
  const from = place.read(steps.length)
  const startedAt = performance.now()
  const bar = progressBar(steps.length, from)
  let sent = from
  while (sent < steps.length && !signal.aborted) {
    const batch = await nextBatch(steps, sent, from, startedAt, options.speed, signal)
    await sendAll(
      options.url,
      batch.map((step) => eventOf(step, options.siteId)),
      tally,
      signal,
    )
    if (signal.aborted) break
    sent += batch.length
    place.write(sent, steps.length)
    bar.show(sent)
  }
  bar.end(sent)
  const seconds = (performance.now() - startedAt) / 1000
  report(
    options,
    { records: records.length, waiting, bad, sent: sent - from, of: steps.length, seconds },
    tally,
  )
  return tally.rejected.size > 0 || bad > 0 ? 1 : 0
}

/** The next events that are due: a full batch when in a hurry, what is due now otherwise. */
async function nextBatch(
  steps: readonly Step[],
  sent: number,
  from: number,
  startedAt: number,
  speed: number,
  signal: AbortSignal,
): Promise<readonly Step[]> {
  if (speed === 0) return steps.slice(sent, sent + batchSize)
  const dueMs = (step: Step) => (step.atMs - steps[from]!.atMs) / speed
  await sleep(Math.max(0, startedAt + dueMs(steps[sent]!) - performance.now()), signal)
  const elapsed = performance.now() - startedAt
  let end = sent + 1
  while (end < steps.length && end - sent < batchSize && dueMs(steps[end]!) <= elapsed) end++
  return steps.slice(sent, end)
}

/** How far a replay of this file came; sending something again does no harm, so it is only a hint. */
function placeOf({ state, file, siteId }: ReplayOptions) {
  if (state === undefined) return { read: () => 0, write: () => {} }
  mkdirSync(state, { recursive: true })
  const path = join(state, `${basename(file)}.${siteId}.replay.json`)
  return {
    read: (steps: number) => {
      if (!existsSync(path)) return 0
      const known = JSON.parse(readFileSync(path, 'utf8')) as { steps: number; sent: number }
      return known.steps === steps && known.sent < steps ? known.sent : 0
    },
    write: (sent: number, steps: number) => writeFileSync(path, JSON.stringify({ steps, sent })),
  }
}

/** On a terminal a bar, elsewhere a line every five seconds; both to standard error. */
function progressBar(total: number, from: number) {
  const startedAt = performance.now()
  let shownAt = 0
  const tty = process.stderr.isTTY
  const line = (sent: number) => {
    const seconds = (performance.now() - startedAt) / 1000
    const rate = (sent - from) / Math.max(seconds, 0.001)
    const left = rate > 0 ? Math.round((total - sent) / rate) : 0
    const share = total === 0 ? 1 : sent / total
    const drawn = '#'.repeat(Math.round(share * 30)).padEnd(30, '.')
    return `[${drawn}] ${(share * 100).toFixed(1)} %  ${sent.toLocaleString('en')} of ${total.toLocaleString('en')} events  ${Math.round(rate).toLocaleString('en')}/s  ${left} s left`
  }
  const put = (sent: number) => process.stderr.write(tty ? `\r${line(sent)}` : `${line(sent)}\n`)
  return {
    show: (sent: number) => {
      if (performance.now() - shownAt < (tty ? 100 : 5000)) return
      shownAt = performance.now()
      put(sent)
    },
    end: (sent: number) => {
      put(sent)
      if (tty) process.stderr.write('\n')
    },
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

function report({ json }: ReplayOptions, summary: Summary, tally: Tally): void {
  const rejected = Object.fromEntries(tally.rejected)
  const { accepted, duplicates, retries } = tally
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ ...summary, accepted, duplicates, retries, rejected })}\n`,
    )
    return
  }
  const rows: [string, number][] = [
    ['records', summary.records],
    ['waiting, no event', summary.waiting],
    ['unreadable lines', summary.bad],
    ['events sent', summary.sent],
    ['accepted', accepted],
    ['known already', duplicates],
    ...[...tally.rejected].map(([why, n]): [string, number] => [`refused: ${why}`, n]),
    ['events a second', Math.round(summary.sent / Math.max(summary.seconds, 0.001))],
  ]
  for (const [what, n] of rows)
    process.stdout.write(`${what.padEnd(20)} ${n.toLocaleString('en').padStart(12)}\n`)
}
