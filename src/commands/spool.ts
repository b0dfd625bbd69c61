import { type Command, InvalidArgumentError } from 'commander'
import { print } from '../platform/stdout.ts'
import {
  type ConfigFlags,
  configOption,
  jsonOption,
  readSidecar,
  sidecarOption,
} from './options.ts'

type Flags = ConfigFlags & { url?: string; json?: boolean }

/** Adds `wafermon spool status` and `wafermon spool rejects`. */
export function addSpool(program: Command): void {
  const spool = program
    .command('spool')
    .description('shows the spool of a running sidecar, and handles its rejects')
  withSidecar(spool.command('status'))
    .description(
      'shows how many events wait for delivery, for how long, and why; exit code 1 when the sidecar accepts no events',
    )
    .addOption(jsonOption())
    .action(status)
  addRejects(spool)
}

function addRejects(spool: Command): void {
  const rejects = spool
    .command('rejects')
    .description('handles events that a sink refused permanently')
  withSidecar(rejects.command('list'))
    .description('lists the rejects with their reasons, newest first')
    .option('--limit <rows>', 'maximum rows', toWhole, 100)
    .option('--json', 'print one JSON object per line')
    .action(list)
  withSidecar(rejects.command('show'))
    .argument('<id>', 'id of the reject, as in the list', toWhole)
    .description('shows one reject with its event')
    .addOption(jsonOption())
    .action(show)
  withSidecar(rejects.command('retry'))
    .argument('[ids...]', 'ids of rejects, as in the list', collect)
    .description('offers rejects to their sink again, once the cause is fixed')
    .option('--all', 'every reject')
    .addOption(jsonOption())
    .action(retry)
  withSidecar(rejects.command('drop'))
    .argument('[ids...]', 'ids of rejects, as in the list', collect)
    .description('deletes rejects with their events permanently; export them first')
    .option('--up-to <id>', 'every reject up to this one', toWhole)
    .addOption(jsonOption())
    .action(drop)
  withSidecar(rejects.command('export'))
    .description('prints all rejects with their events, one JSON object per line')
    .action(exportAll)
}

const withSidecar = (command: Command) =>
  command.addOption(sidecarOption()).addOption(configOption())

async function status(flags: Flags): Promise<void> {
  const { spoolStatus, statusText } = await import('../tools/spool/status.ts')
  const found = await spoolStatus(await readSidecar('spool', flags))
  await print(flags.json ? `${JSON.stringify(found)}\n` : statusText(found))
  if (found.trouble) process.exitCode = 1
}

async function list(flags: Flags & { limit: number }): Promise<void> {
  const { printList } = await import('../tools/spool/print.ts')
  await printList(await readSidecar('spool', flags), flags.limit, !!flags.json)
}

async function show(id: number, flags: Flags): Promise<void> {
  const { printOne } = await import('../tools/spool/print.ts')
  await printOne(await readSidecar('spool', flags), id, !!flags.json)
}

async function retry(ids: number[], flags: Flags & { all?: boolean }, command: Command) {
  if (flags.all ? ids.length > 0 : ids.length === 0) {
    command.error('error: give the ids to retry, or --all')
  }
  const { retryAll } = await import('../tools/spool/print.ts')
  const sidecar = await readSidecar('spool', flags)
  await retryAll(sidecar, flags.all ? undefined : ids, !!flags.json)
}

async function drop(ids: number[], flags: Flags & { upTo?: number }, command: Command) {
  const { upTo } = flags
  if ((upTo === undefined) === (ids.length === 0)) {
    command.error('error: give the ids to drop, or --up-to')
  }
  const { dropAll } = await import('../tools/spool/print.ts')
  const sidecar = await readSidecar('spool', flags)
  await dropAll(sidecar, upTo === undefined ? { ids } : { upTo }, !!flags.json)
}

async function exportAll(flags: Flags): Promise<void> {
  const { printAll } = await import('../tools/spool/print.ts')
  await printAll(await readSidecar('spool', flags))
}

function toWhole(text: string): number {
  const n = Number(text)
  if (/^\d+$/.test(text) && n >= 1 && n <= Number.MAX_SAFE_INTEGER) return n
  throw new InvalidArgumentError('It must be a whole number, 1 or more.')
}

const collect = (text: string, before: number[] = []): number[] => [...before, toWhole(text)]
