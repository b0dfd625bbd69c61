import type { Command } from 'commander'
import type { SinkChange } from '../tools/spool/sinks.ts'
import { jsonOption } from './options.ts'
import { openSpool, type SpoolFlags, sinkOption, toSeq, withSpool } from './spool-options.ts'

/** Adds `wafermon spool sinks`. */
export function addSinks(spool: Command): void {
  const sinks = withSpool(spool.command('sinks'))
    .description('lists the sinks of a sidecar; its subcommands handle one')
    .addOption(sinkOption())
    .addOption(jsonOption())
    .action(list)
  withName(sinks, 'forget', 'name of a sink that is not configured any more')
    .description('gives up the events and the rejects that are kept for it, permanently')
    .action(forget)
  withName(sinks, 'skip')
    .description('lets a sink do without what it is owed, permanently: a gap with the reason')
    .requiredOption('--reason <text>', 'why; kept with the gap')
    .option('--up-to <seq>', 'number of the last event to skip (default: all that wait)', toSeq)
    .action(skip)
  withName(sinks, 'pause')
    .description('lets a sink be offered nothing until it is resumed, also after a restart')
    .requiredOption('--reason <text>', 'why; shown while it is paused')
    .action(pause)
  withName(sinks, 'resume').description('offers a paused sink events again').action(resume)
}

const withName = (sinks: Command, does: SinkChange, about = 'name of the sink') =>
  withSpool(sinks.command(does)).argument('<name>', about).addOption(jsonOption())

/** Flags that a list has too are taken by it, wherever they stand. */
type SinkFlags = SpoolFlags & { sink?: string; reason?: string; upTo?: number }

async function list(_: SinkFlags, command: Command): Promise<void> {
  const { printSinks } = await import('../tools/spool/sinks.ts')
  const { sink, json = false, ...flags } = command.opts<SinkFlags>()
  await openSpool(flags, (sidecar) => printSinks(sidecar, { sink, json }))
}

async function change(
  name: string,
  does: SinkChange,
  command: Command,
  params: Record<string, string> = {},
): Promise<void> {
  const { changeSink } = await import('../tools/spool/sinks.ts')
  const { json = false, ...flags } = command.optsWithGlobals<SinkFlags>()
  await openSpool(flags, (sidecar) => changeSink(sidecar, name, does, { params, json }))
}

const forget = (name: string, _: SinkFlags, command: Command) => change(name, 'forget', command)

const resume = (name: string, _: SinkFlags, command: Command) => change(name, 'resume', command)

const pause = (name: string, { reason = '' }: SinkFlags, command: Command) =>
  change(name, 'pause', command, { reason })

const skip = (name: string, { reason = '', upTo }: SinkFlags, command: Command) =>
  change(name, 'skip', command, { reason, ...(upTo === undefined ? {} : { up_to: String(upTo) }) })
