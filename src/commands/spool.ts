import { type Command, InvalidArgumentError } from 'commander'
import { print } from '../platform/stdout.ts'
import { sidecarOption } from '../tools/sidecar.ts'

type Flags = { url: string; json?: boolean }

/** Adds `wafermon spool status` and `wafermon spool rejects`. */
export function addSpool(program: Command): void {
  const spool = program
    .command('spool')
    .description('shows what a running sidecar holds, and deals with what was refused')
  spool
    .command('status')
    .description('how much waits, for how long, and why; code 1 when it takes no events')
    .addOption(sidecarOption())
    .option('--json', 'print the result as JSON')
    .action(status)
  addRejects(spool)
}

function addRejects(spool: Command): void {
  const rejects = spool
    .command('rejects')
    .description('events that the local API refused for good, with the reason')
  rejects
    .command('list')
    .description('lists them, newest first')
    .addOption(sidecarOption())
    .option('--limit <rows>', 'most rows', toWhole, 100)
    .option('--json', 'print one JSON object a line')
    .action(list)
  rejects
    .command('show')
    .argument('<id>', 'as the list has it', toWhole)
    .description('shows one of them with its event')
    .addOption(sidecarOption())
    .option('--json', 'print the result as JSON')
    .action(show)
  rejects
    .command('retry')
    .argument('[ids...]', 'as the list has them', collect)
    .description('offers them again; do it once the reason is gone')
    .option('--all', 'all there are now')
    .addOption(sidecarOption())
    .option('--json', 'print the result as JSON')
    .action(retry)
  rejects
    .command('export')
    .description('prints all of them with their events, one JSON object a line')
    .addOption(sidecarOption())
    .action(exportAll)
}

async function status({ url, json }: Flags): Promise<void> {
  const { spoolStatus, statusText } = await import('../tools/spool/status.ts')
  const found = await spoolStatus(url)
  await print(json ? `${JSON.stringify(found)}\n` : statusText(found))
  if (found.trouble) process.exitCode = 1
}

async function list({ url, json, limit }: Flags & { limit: number }): Promise<void> {
  const { printList } = await import('../tools/spool/print.ts')
  await printList(url, limit, !!json)
}

async function show(id: number, { url, json }: Flags): Promise<void> {
  const { printOne } = await import('../tools/spool/print.ts')
  await printOne(url, id, !!json)
}

async function retry(ids: number[], flags: Flags & { all?: boolean }, command: Command) {
  if (flags.all ? ids.length > 0 : ids.length === 0) {
    command.error('error: give the ids to retry, or --all')
  }
  const { retryAll } = await import('../tools/spool/print.ts')
  await retryAll(flags.url, flags.all ? undefined : ids, !!flags.json)
}

async function exportAll({ url }: Flags): Promise<void> {
  const { printAll } = await import('../tools/spool/print.ts')
  await printAll(url)
}

function toWhole(text: string): number {
  const n = Number(text)
  if (/^\d+$/.test(text) && n >= 1 && n <= Number.MAX_SAFE_INTEGER) return n
  throw new InvalidArgumentError('Give a whole number from 1.')
}

const collect = (text: string, before: number[] = []): number[] => [...before, toWhole(text)]
