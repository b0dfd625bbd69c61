import { realpathSync } from 'node:fs'
import { resolve } from 'node:path'
import { pino } from 'pino'
import { AppError, ConfigError } from '../core/errors.ts'
import type { Event } from '../core/event.ts'
import type { Kind } from '../core/kinds.ts'
import type { SinkFilter } from '../core/sink-filter.ts'
import { onSignals } from '../platform/signals.ts'
import { print } from '../platform/stdout.ts'
import type { SinkEntry } from '../sinks/entry.ts'
import { type OpenSink, openSink } from '../sinks/index.ts'
import { type SentAgain, sendAgain } from '../sinks/send-again.ts'
import { connect, type Store } from '../store/connect.ts'
import { type Between, readDroppedBefore, readEventsBetween } from '../store/events-between.ts'
import { grouped } from '../tools/table.ts'
import type { ToolConfig } from './settings.ts'
import { listEntries } from './sidecar-sinks.ts'

export type ResendOptions = {
  config: ToolConfig<'resend'>
  from: string
  to: string
  sink: string
  /** In the place of the folder in which the sidecar writes. */
  outputDir?: string | undefined
  filter: { kind?: Kind[]; entity?: ('job' | 'subjob')[]; app?: string[]; site?: string[] }
  json: boolean
}

const probeTimeoutMs = 10_000
/** Refusals that are shown; all are counted. */
const mostRefusals = 20

/**
 * Sends the events of a range from the hot store to a sink again, with the keys and stamps that they had. Progress
 * goes to standard error, the result to standard output. Exit code 1 when the sink refused events, or it was stopped.
 *
 * @throws ConfigError when there is no such sink, or it would write where its sidecar does; AppError when the sink
 * cannot be used, with the time from which to continue
 */
export async function runResend(options: ResendOptions): Promise<void> {
  const { config, from, to, sink: name } = options
  if (from >= to) throw new ConfigError(`--from: must be before --to (${from} is not before ${to})`)
  const entry = withOwnFolder(findEntry(config, name), options.outputDir)
  const stop = new AbortController()
  onSignals(() => stop.abort())
  const sink = await openSink(entry, { log: pino({ level: 'silent' }) })
  const store = connect(config.DATABASE_URL, { role: 'resend', max: 1, timeoutS: 60 })
  try {
    await checkReady(sink)
    await checkHot(store, from)
    await send(options, sink, store, stop.signal)
  } finally {
    await sink.close?.()
    await store.close()
  }
}

function findEntry(config: ToolConfig<'resend'>, name: string): SinkEntry {
  const entries = listEntries(config)
  const entry = entries.find((one) => one.name === name)
  if (entry) return entry
  const names = entries.map((one) => one.name).join(', ')
  throw new ConfigError(
    `--sink: there is no sink ${name} in INTEGRATIONS_CONFIG; there are ${names}`,
  )
}

/** Two writers in one folder would make two positions of one file. */
function withOwnFolder(entry: SinkEntry, outputDir: string | undefined): SinkEntry {
  const { output_dir: used } = entry.config
  if (used === undefined) {
    if (outputDir === undefined) return entry
    throw new ConfigError(`--output-dir: the sink ${entry.name} writes no files; leave it out`)
  }
  if (outputDir !== undefined && folderOf(outputDir) !== folderOf(`${used}`)) {
    return { ...entry, config: { ...entry.config, output_dir: outputDir } }
  }
  throw new ConfigError(
    `--output-dir: the sink ${entry.name} writes files in ${used}, which is its sidecar's; give a folder of their own`,
  )
}

/** One folder has one name here, however it is written or linked. */
function folderOf(path: string): string {
  try {
    return realpathSync(path)
  } catch {
    return resolve(path)
  }
}

async function checkReady(sink: OpenSink): Promise<void> {
  const problem = await sink.probe?.(AbortSignal.timeout(probeTimeoutMs))
  if (problem === undefined) return
  throw new AppError(
    'unavailable',
    `the sink ${sink.name} is not ready: ${problem}; nothing was sent`,
  )
}

/** Events that are gone are not sent: an operator must not take the rest for all. */
async function checkHot(store: Store, from: string): Promise<void> {
  const droppedBefore = await readDroppedBefore(store)
  if (droppedBefore === '-infinity' || from >= droppedBefore) return
  throw new ConfigError(
    `--from: events before ${droppedBefore} are not in the hot store any more; begin there, the archive has what is older`,
  )
}

const joined = <T>(a: readonly T[] | undefined, b: readonly T[] | undefined) =>
  a && b ? a.filter((one) => b.includes(one)) : (a ?? b)

/** What flags and the filter of the sink both want: the rest is not read. */
const toRange = ({ from, to, filter }: ResendOptions, own: SinkFilter): Between => ({
  ...{ from, to, kinds: joined(filter.kind, own.kind), apps: joined(filter.app, own.app) },
  ...{ entities: joined(filter.entity, own.entity), sites: joined(filter.site, own.site) },
})

async function send(options: ResendOptions, sink: OpenSink, store: Store, signal: AbortSignal) {
  const { from, to, sink: name, json } = options
  const rejects: object[] = []
  let reached = from
  let toldMs = performance.now()
  const tell = (text: string) => process.stderr.write(`${text}\n`)
  const pages = readEventsBetween(store, toRange(options, sink.filter), signal)
  const sending = sendAgain({
    ...{ sink, signal, pages: pages as AsyncIterable<Event[]> },
    onProgress(sent, at) {
      reached = at
      if (performance.now() - toldMs < 2000) return
      toldMs = performance.now()
      tell(`${grouped(sent.taken)} sent, up to ${at}`)
    },
    onRefused({ event, idempotency_key }, refusal) {
      if (rejects.length < mostRefusals) rejects.push({ at: event.at, idempotency_key, ...refusal })
    },
    onFailure: ({ reason }, waitMs) =>
      tell(`${name}: ${reason}; will retry in ${Math.ceil(waitMs / 1000)} s`),
  })
  const continueAt = () => `continue with --from ${reached}`
  const sent = await sending.catch((error: unknown) => {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, `${error.message}; ${continueAt()}`)
  })
  if (signal.aborted) tell(`stopped; ${continueAt()}`)
  if (signal.aborted || sent.refused > 0) process.exitCode = 1
  const result = { sink: name, from, to, complete: !signal.aborted, ...sent, rejects }
  await print(json ? `${JSON.stringify(result)}\n` : toText(sent, rejects))
}

function toText({ read, filtered, taken, refused }: SentAgain, rejects: readonly object[]): string {
  const counts = [`read ${grouped(read)}`, `sent ${grouped(taken)}`, `refused ${grouped(refused)}`]
  const left = filtered > 0 ? [`left out by the filter of the sink ${grouped(filtered)}`] : []
  const lines = rejects.map((one) => JSON.stringify(one))
  return `${[[...counts, ...left].join(', '), ...lines].join('\n')}\n`
}
