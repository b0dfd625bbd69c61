import type { Micros } from '../../../core/time.ts'
import { BadValue, type Metadata, type Observation, type Skipped } from '../format.ts'
import { copyText, filled, measured, readClock, readNumber } from '../values.ts'

/*
 * Events of an HTCondor job event log. A job that loses its machine waits for another one: what it ran is an
 * attempt that ended, and the next one waits from then on. A job that is held or suspended stays the same attempt.
 */

/** An event of a job event log. */
export type LogEvent = {
  /** Its three digits. */
  code: string
  /** `cluster.proc`, and the subproc if it is not 0. */
  job: string
  at: string
  /** The rest of the first line. */
  text: string
  /** The lines under it. */
  lines: readonly string[]
}
/** What is remembered of a job of a log. */
export type Run = { attempt: number; node?: string | undefined }

/** What an event reports. `run` is what earlier events of the job left, and is changed. */
export function* observeLogEvent(
  event: LogEvent,
  run: Run,
  at: Micros,
): Generator<Observation | Skipped> {
  const tell = kinds[event.code]
  if (tell === undefined) return yield { skipped: `event ${event.code}` }
  const node = findIn(event, /DAG Node: (\S+)/)
  if (node !== undefined) run.node = copyText(node)
  const who = { job: event.job, key: event.job, at }
  for (const { again = false, ...told } of tell(event, run)) {
    if (again) run.attempt++
    yield { ...who, attempt: run.attempt, ...told }
  }
}

type Told = Pick<Observation, 'kind' | 'status' | 'metrics'> & {
  metadata?: Metadata | undefined
  /** The next attempt begins with it. */
  again?: boolean
}

/** By the code of the event. */
const kinds: Record<string, (event: LogEvent, run: Run) => Told[]> = {
  '000': ({ text }, { node }) => [
    { kind: 'queued', metadata: filled({ submit_host: addressIn(text), dag_node: node }) },
  ],
  '001': (event, { node }) => [
    { kind: 'started', metadata: filled({ host: hostOf(event), dag_node: node }) },
  ],
  '004': (event) => loseMachine('canceled', reasonOf(event) ?? 'evicted', event),
  '005': (event) => [terminate(event)],
  '006': (event) => {
    const memory = readNumber('MemoryUsage', findIn(event, /^(\d+) {2}- {2}MemoryUsage/))
    return memory === undefined ? [] : [{ kind: 'metric', metrics: { mem_max_mb: memory } }]
  },
  '007': (event) => loseMachine('error', reasonOf(event) ?? 'shadow exception', event),
  '009': (event) => [
    { kind: 'canceled', status: 'canceled', metadata: { reason: reasonOf(event) ?? event.text } },
  ],
  '010': () => [{ kind: 'queued', metadata: { reason: 'suspended' } }],
  '011': () => [{ kind: 'started' }],
  '012': (event) => [
    {
      kind: 'queued',
      metadata: filled({ reason: `held: ${reasonOf(event) ?? 'no reason given'}` }),
    },
  ],
  '013': (event) => [
    { kind: 'queued', metadata: { reason: `released: ${reasonOf(event) ?? 'no reason given'}` } },
  ],
  '024': (event) => loseMachine('error', reasonOf(event) ?? 'the machine was lost', event),
}

function loseMachine(kind: 'canceled' | 'error', reason: string, event: LogEvent): Told[] {
  const status = kind === 'error' ? 'failed' : 'canceled'
  return [
    { kind, status, metadata: { reason }, metrics: usageOf(event) },
    { kind: 'queued', again: true, metadata: { reason: `again after: ${reason}` } },
  ]
}

function terminate(event: LogEvent): Told {
  const code = findIn(event, /return value (-?\d+)/)
  const signal = findIn(event, /signal (\d+)/)
  if (code === undefined && signal === undefined) {
    throw new BadValue('does not say with which return value or signal the job terminated')
  }
  const metadata = filled({
    exit_code: readNumber('return value', code),
    signal: readNumber('signal', signal),
  })
  const status = code === '0' ? 'succeeded' : 'failed'
  const kind = status === 'succeeded' ? 'finished' : 'error'
  return { kind, status, metadata, metrics: usageOf(event) }
}

/** CPU of this run, and the memory of the table of resources. */
function usageOf(event: LogEvent): Record<string, number> | undefined {
  const [user, system] = [
    /Usr (\d+ [\d:]+).*Run Remote Usage/,
    /Sys (\d+ [\d:]+).*Run Remote Usage/,
  ]
    .map((pattern) => findIn(event, pattern)?.replace(' ', '-'))
    .map((text) => readClock('Run Remote Usage', text))
  return measured({
    cpu_user_s: user,
    cpu_system_s: system,
    mem_max_mb: readNumber('Memory (MB)', findIn(event, /^Memory \(MB\) +: +(\d+) +\d+ +\d+/)),
  })
}

function findIn({ text, lines }: LogEvent, pattern: RegExp): string | undefined {
  for (const line of [text, ...lines]) {
    const found = pattern.exec(line)?.[1]
    if (found !== undefined) return found
  }
  return undefined
}

/** The first line below the head that says it in words. */
const reasonOf = (event: LogEvent): string | undefined =>
  findIn(event, /^Reason: (.*)$/) ??
  event.lines.find(
    (line) => line !== '' && !/^(?:\(\d\)|Usr |Code \d|\d+ +- )|: +[\d.]+/.test(line),
  )

const addressIn = (text: string): string | undefined => /<([^?>]+?)(?::\d+)?[?>]/.exec(text)?.[1]

/** The name of the slot's machine, or else its address. */
const hostOf = (event: LogEvent): string | undefined =>
  findIn(event, /SlotName: (?:.*@)?(\S+)/) ??
  findIn(event, /[?&]alias=([^&>]+)/) ??
  addressIn(event.text)
