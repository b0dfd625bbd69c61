import { createHash, type Hash } from 'node:crypto'
import { openPosition } from '../replay/checkpoint.ts'
import { progressBar } from '../replay/progress.ts'
import { BadLines, say, sayOnce } from '../replay/report.ts'
import { batchSize, newTally, sendAll, type Tally, timeoutMs } from '../replay/send.ts'
import { openClient, type Sidecar } from '../sidecar.ts'
import { grouped } from '../table.ts'
import type { Format, ImportContext } from './format.ts'
import { readEvents } from './pieces.ts'
import { printSummary, Summary } from './report.ts'
import { Source } from './source.ts'
import type { Target, WireEvent } from './to-event.ts'

export type ImportOptions = {
  /** The name of the format. */
  name: string
  format: Format
  file: string
  context: ImportContext
  target: Target
  sidecar: Sidecar
  /** Reads the file and sends nothing. */
  dryRun: boolean
  /** Folder for the position, from which the next run continues; without it, from the start. */
  state?: string | undefined
  json: boolean
}

/**
 * Imports a file of another system.
 *
 * @returns the exit code: 0 when all of the file was read and accepted; 1 when a piece of it could not be read, an
 * event was refused, or it was stopped
 * @throws ConfigError or AppError that says what is wrong
 */
export async function runImport(options: ImportOptions, signal: AbortSignal): Promise<number> {
  const { file, state, target, dryRun, json } = options
  const position = openPosition(
    { state: dryRun ? undefined : state, file, siteId: target.siteId },
    'importer',
  )
  const known = position.read()
  let run = new Run(options, known, signal)
  let done = await run.send(position.write)
  if (done === 'another file') {
    run = new Run(options, undefined, signal)
    done = await run.send(position.write)
  }
  // A complete import begins again: sending an event twice does no harm, leaving one out does.
  if (done === 'complete') position.write({ print: '', sent: 0 })
  await printSummary(run.summary, { json, dryRun })
  const later = state
    ? 'run the same command to continue'
    : 'only with --state can it continue later'
  if (done === 'stopped') say(`stopped; ${later}`)
  const { bad, tally } = run.summary
  return tally.rejected.size > 0 || bad.count > 0 || done === 'stopped' ? 1 : 0
}

type Position = { print: string; sent: number }

/** One reading of a file, of which the events up to a position were sent before. */
class Run {
  readonly summary: Summary
  readonly #options: ImportOptions
  readonly #known: Position | undefined
  readonly #signal: AbortSignal
  readonly #tally: Tally = newTally()
  readonly #source: Source
  /** Of all that is read up to the last batch that was sent. */
  readonly #print: Hash

  constructor(options: ImportOptions, known: Position | undefined, signal: AbortSignal) {
    const { file, name, target, sidecar } = options
    this.#options = options
    this.#known = known
    this.#signal = signal
    this.#source = new Source(file)
    this.summary = new Summary(name, new BadLines(file), this.#tally, known?.sent ?? 0)
    const { siteId, system, app } = target
    this.#print = createHash('sha1').update([sidecar.url, name, siteId, system, app].join('\n'))
  }

  /** Sends what is left. @param write keeps a position */
  async send(
    write: (position: Position) => void,
  ): Promise<'complete' | 'stopped' | 'another file'> {
    const { sidecar, dryRun } = this.#options
    const { summary } = this
    const client = openClient(sidecar, timeoutMs)
    const bar = progressBar(undefined, this.#known?.sent ?? 0)
    const target = { client, url: sidecar.url, signal: this.#signal, onWait: sayOnce(bar.clear) }
    try {
      for await (const batch of this.#batches()) {
        if (batch === 'another file') return batch
        if (!dryRun) await sendAll(target, batch, this.#tally)
        if (this.#signal.aborted) return 'stopped'
        summary.sent += dryRun ? 0 : batch.length
        for (const { idempotency_key: key, event } of batch) this.#print.update(key + event.at)
        if (!dryRun) write({ print: this.#digest(), sent: summary.from + summary.sent })
        bar.show(summary.events, this.#source.share)
      }
      bar.end(summary.events, this.#source.share)
      return 'complete'
    } finally {
      client.close()
      summary.end()
    }
  }

  #digest = (): string => this.#print.copy().digest('hex')

  /** The events after the known position, or the word that this is not what was sent up to there. */
  async *#batches(): AsyncGenerator<WireEvent[] | 'another file'> {
    const { format, context, target } = this.#options
    const { summary } = this
    let batch: WireEvent[] = []
    let skip = this.#known?.sent ?? 0
    for await (const found of readEvents(this.#source, format, context, target)) {
      if (this.#signal.aborted) return yield batch
      summary.add(found)
      if (!('event' in found)) continue
      if (skip > 0) {
        this.#print.update(found.event.idempotency_key + found.event.event.at)
        skip--
        if (skip > 0) continue
        if (this.#digest() !== this.#known?.print) return yield 'another file'
        say(`continues after ${grouped(summary.from)} events`)
        continue
      }
      batch.push(found.event)
      if (batch.length < batchSize) continue
      yield batch
      batch = []
    }
    if (skip > 0) yield 'another file'
    else if (batch.length > 0) yield batch
  }
}
