import type { Command } from 'commander'
import { jsonOption } from './options.ts'
import { openSpool, type SpoolFlags, sinkOption, toWhole, withSpool } from './spool-options.ts'

type SinkFlags = SpoolFlags & { sink?: string }

/** Adds `wafermon spool rejects`. */
export function addRejects(spool: Command): void {
  const rejects = spool
    .command('rejects')
    .description('handles events that a sink refused permanently')
  withSpool(rejects.command('list'))
    .description('lists the rejects with their reasons, newest first')
    .addOption(sinkOption())
    .option('--limit <rows>', 'maximum rows', toWhole, 100)
    .option('--json', 'print one JSON object per line')
    .action(list)
  withSpool(rejects.command('show'))
    .argument('<id>', 'id of the reject, as in the list', toWhole)
    .description('shows one reject with its event')
    .addOption(jsonOption())
    .action(show)
  withSpool(rejects.command('retry'))
    .argument('[ids...]', 'ids of rejects, as in the list', collect)
    .description('offers rejects to their sink again, once the cause is fixed')
    .option('--all', 'every reject, of one sink with --sink')
    .addOption(sinkOption())
    .addOption(jsonOption())
    .action(retry)
  withSpool(rejects.command('drop'))
    .argument('[ids...]', 'ids of rejects, as in the list', collect)
    .description('deletes rejects with their events permanently; export them first')
    .option('--up-to <id>', 'every reject up to this one, of one sink with --sink', toWhole)
    .addOption(sinkOption())
    .addOption(jsonOption())
    .action(drop)
  withSpool(rejects.command('export'))
    .description('prints all rejects with their events, one JSON object per line')
    .addOption(sinkOption())
    .option('--json', 'the same: each line is JSON')
    .action(exportAll)
}

async function list(flags: SinkFlags & { limit: number }): Promise<void> {
  const { printList } = await import('../tools/spool/print.ts')
  const { limit, sink, json = false } = flags
  await openSpool(flags, (sidecar) => printList(sidecar, { limit, sink, json }))
}

async function show(id: number, flags: SpoolFlags): Promise<void> {
  const { printOne } = await import('../tools/spool/print.ts')
  await openSpool(flags, (sidecar) => printOne(sidecar, id, !!flags.json))
}

async function retry(ids: number[], flags: SinkFlags & { all?: boolean }, command: Command) {
  const { all, sink, json = false } = flags
  if (all ? ids.length > 0 : ids.length === 0) {
    command.error('error: give the ids to retry, or --all')
  }
  if (sink !== undefined && !all) command.error('error: --sink goes with --all')
  const { retryAll } = await import('../tools/spool/print.ts')
  await openSpool(flags, (sidecar) => retryAll(sidecar, all ? { sink } : { ids }, json))
}

async function drop(ids: number[], flags: SinkFlags & { upTo?: number }, command: Command) {
  const { upTo, sink, json = false } = flags
  if ((upTo === undefined) === (ids.length === 0)) {
    command.error('error: give the ids to drop, or --up-to')
  }
  if (sink !== undefined && upTo === undefined) command.error('error: --sink goes with --up-to')
  const { dropAll } = await import('../tools/spool/print.ts')
  const given = upTo === undefined ? { ids } : { upTo, sink }
  await openSpool(flags, (sidecar) => dropAll(sidecar, given, json))
}

async function exportAll(flags: SinkFlags): Promise<void> {
  const { printAll } = await import('../tools/spool/print.ts')
  await openSpool(flags, (sidecar) => printAll(sidecar, flags.sink))
}

const collect = (text: string, before: number[] = []): number[] => [...before, toWhole(text)]
