import type { Command } from 'commander'
import { print } from '../platform/stdout.ts'
import { jsonOption } from './options.ts'
import {
  openSpool,
  type SpoolFlags,
  sinkOption,
  toSeq,
  toWhole,
  withSpool,
} from './spool-options.ts'
import { addRejects } from './spool-rejects.ts'
import { addSinks } from './spool-sinks.ts'

type SinkFlags = SpoolFlags & { sink?: string }

/** Adds `wafermon spool`. */
export function addSpool(program: Command): void {
  const spool = program
    .command('spool')
    .description('shows the spool of a sidecar, and handles its sinks and rejects')
  withSpool(spool.command('status'))
    .description(
      'shows how many events wait for delivery, for how long, and why; exit code 1 when the sidecar accepts no events',
    )
    .addOption(sinkOption())
    .addOption(jsonOption())
    .action(status)
  withSpool(spool.command('verify'))
    .description(
      'checks that each event is accounted for at every sink: delivered, filtered, rejected, skipped or waiting; with --dir it reads all of the spool; exit code 1 when not',
    )
    .addOption(jsonOption())
    .action(verify)
  addEvents(spool)
  addSinks(spool)
  addRejects(spool)
}

function addEvents(spool: Command): void {
  withSpool(spool.command('ls'))
    .description('lists the events in the spool, the oldest first, and which sinks are owed each')
    .addOption(sinkOption())
    .option('--after <seq>', 'only events with a higher number', toSeq)
    .option('--limit <rows>', 'maximum rows', toWhole, 100)
    .option('--json', 'print one JSON object per line')
    .action(list)
  withSpool(spool.command('show'))
    .argument('<seq>', 'number of the event, as in the list; after -- if it is negative', toSeq)
    .description('shows one event in the spool')
    .addOption(jsonOption())
    .action(show)
  withSpool(spool.command('export'))
    .description('prints the events in the spool with their texts, one JSON object per line')
    .addOption(sinkOption())
    .option('--after <seq>', 'only events with a higher number', toSeq)
    .option('--up-to <seq>', 'no event with a higher number', toSeq)
    .option('--json', 'the same: each line is JSON')
    .action(exportAll)
}

async function status({ sink, json, ...flags }: SinkFlags): Promise<void> {
  const { spoolStatus, statusText, withSink } = await import('../tools/spool/status.ts')
  await openSpool(flags, async (sidecar) => {
    const found = withSink(await spoolStatus(sidecar), sink)
    await print(json ? `${JSON.stringify(found)}\n` : statusText(found))
    if (found.trouble) process.exitCode = 1
  })
}

async function verify(flags: SpoolFlags): Promise<void> {
  const found = flags.dir === undefined ? await verifyRunning(flags) : await verifyFolder(flags.dir)
  const { odd, ...counts } = found
  const said = odd.length > 0 ? odd : ['each event is accounted for']
  const text = [...Object.entries(counts).map(([name, count]) => `${name}: ${count}`), ...said]
  await print(flags.json ? `${JSON.stringify(found)}\n` : `${text.join('\n')}\n`)
  if (odd.length > 0) process.exitCode = 1
}

async function verifyRunning(flags: SpoolFlags) {
  const { findOdd, spoolStatus } = await import('../tools/spool/status.ts')
  return openSpool(flags, async (sidecar) => {
    const found = await spoolStatus(sidecar)
    return { sinks: Object.keys(found.sinks).length, odd: findOdd(found) }
  })
}

async function verifyFolder(dir: string) {
  const { verifySpool } = await import('../spool/verify.ts')
  return verifySpool(dir)
}

type RangeFlags = SinkFlags & { after?: number; upTo?: number }

async function list(flags: RangeFlags & { limit: number }): Promise<void> {
  const { printEvents } = await import('../tools/spool/events.ts')
  const { after, sink, limit, json = false } = flags
  await openSpool(flags, (sidecar) => printEvents(sidecar, { after, sink, limit, json }))
}

async function show(seq: number, flags: SpoolFlags): Promise<void> {
  const { printEvent } = await import('../tools/spool/events.ts')
  await openSpool(flags, (sidecar) => printEvent(sidecar, seq, !!flags.json))
}

async function exportAll({ after, upTo, sink, ...flags }: RangeFlags): Promise<void> {
  const { exportEvents } = await import('../tools/spool/events.ts')
  await openSpool(flags, (sidecar) => exportEvents(sidecar, { after, upTo, sink }))
}
