import { hostname } from 'node:os'
import type { Command } from 'commander'
import { openArchive, type PlaceFlags, readArchive, withPlace } from './archive-place.ts'
import { userName } from './options.ts'

type Flags = PlaceFlags & {
  site?: string
  from?: string
  to?: string
  key?: string
  reason: string
  by?: string
  all?: boolean
}

/** Adds `wafermon archive hold add|ls|rm`. */
export function addHoldCommands(archive: Command): void {
  const hold = archive
    .command('hold')
    .description('keeps days from being deleted for their age, whatever ARCHIVE_KEEP_YEARS says')
  withWho(withPlace(hold.command('add')))
    .description('places a hold; exit code 1 when part of what it is to hold was deleted before')
    .option('--site <id>', 'only days of this site (default: every site)')
    .option('--from <day>', 'the first day, as 2026-03-01 (default: from the beginning)')
    .option('--to <day>', 'the last day (default: without an end)')
    .option('--key <key>', 'only days with something of this business key or sub key')
    .action(async (flags: Flags) => {
      const { runHoldAdd } = await import('../archive/run-hold.ts')
      const { site = null, from = null, to = null, key = null } = flags
      const place = await openArchive(await readArchive(flags))
      await runHoldAdd(place, { site, from, to, key }, whoOf(flags))
    })
  withPlace(hold.command('ls'))
    .description('lists the holds in force')
    .option('--all', 'those that were released as well')
    .action(async (flags: Flags) => {
      const { runHoldList } = await import('../archive/run-hold.ts')
      const place = await openArchive(await readArchive(flags))
      await runHoldList(place, { all: !!flags.all, json: !!flags.json })
    })
  withWho(withPlace(hold.command('rm')))
    .description('releases a hold; it stays in the list of all')
    .argument('<id>', 'id of the hold, as hold ls shows it')
    .action(async (id: string, flags: Flags) => {
      const { runHoldRelease } = await import('../archive/run-hold.ts')
      await runHoldRelease(await openArchive(await readArchive(flags)), id, whoOf(flags))
    })
}

const withWho = (command: Command) =>
  command
    .requiredOption('--reason <text>', 'why; kept with the hold')
    .option('--by <name>', 'who asks for it (default: the current system user and machine)')

const whoOf = ({ reason, by, json }: Flags) => ({ reason, by: by ?? whoAmI(), json: !!json })

/** The system user and the machine, as `alice@ops1`. */
export const whoAmI = () => `${userName() ?? 'unknown'}@${hostname()}`
