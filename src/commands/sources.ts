import { type Command, InvalidArgumentError } from 'commander'
import { type ConfigFlags, jsonOption, readLocalApi, userName, withLocalApi } from './options.ts'

type Flags = ConfigFlags & { url?: string; json?: boolean }

/** Adds `wafermon sources ls` and `wafermon sources accept`. */
export function addSources(program: Command): void {
  const sources = program
    .command('sources')
    .description('shows the sidecars that a local API knows, and accepts what one has lost')
  withLocalApi(sources.command('ls'))
    .description('lists the sources: state, events in their spools, missing events')
    .option('--all', 'retired and replaced ones as well')
    .option('--json', 'print one JSON object per line')
    .action(list)
  withLocalApi(sources.command('accept'))
    .argument('<id>', 'id of the source, as in the list')
    .description(
      'accepts what a source has lost: its missing events no longer count as missing, and a silent one retires; kept in the audit',
    )
    .requiredOption('--reason <text>', 'why; kept in the audit')
    .option(
      '--missing <number>',
      'how many events the list said are missing: with another number nothing is accepted',
      toCount,
    )
    .option('--by <name>', 'who accepts it (default: the current system user)')
    .addOption(jsonOption())
    .action(accept)
}

async function list(flags: Flags & { all?: boolean }): Promise<void> {
  const { printSources } = await import('../tools/sources.ts')
  await printSources(await readLocalApi('sources', flags), { all: !!flags.all, json: !!flags.json })
}

type AcceptFlags = Flags & { reason: string; missing?: number; by?: string }

async function accept(id: string, flags: AcceptFlags): Promise<void> {
  const { acceptLoss } = await import('../tools/sources.ts')
  const { reason, missing, by = userName(), json = false } = flags
  await acceptLoss(await readLocalApi('sources', flags), id, { reason, missing, by, json })
}

function toCount(text: string): number {
  const count = Number(text)
  if (/^\d+$/.test(text) && Number.isSafeInteger(count)) return count
  throw new InvalidArgumentError('It must be a whole number, as in the list.')
}
