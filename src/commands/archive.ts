import type { Command } from 'commander'
import { addCompact } from './archive-compact.ts'
import { addExpire } from './archive-expire.ts'
import { addHoldCommands } from './archive-hold.ts'
import { openArchive, type PlaceFlags, readArchive, withPlace } from './archive-place.ts'
import { addQuery } from './archive-query.ts'
import { addRestore } from './archive-restore.ts'
import { settingOption } from './options.ts'

type Flags = PlaceFlags & { deep?: boolean }

/** Adds `wafermon archive` and its commands. */
export function addArchive(program: Command): void {
  const archive = program.command('archive').description('inspects, reads and keeps the archive')
  withPlace(archive.command('ls'))
    .description('lists the archived days')
    .action(async (flags: Flags) => {
      const { runList } = await import('../archive/print.ts')
      await runList(await openArchive(await readArchive(flags)), { json: !!flags.json })
    })
  withPlace(archive.command('verify'))
    .description('compares the files with their manifests; exit code 1 when there is a problem')
    .option('--deep', 'read every byte and decode every column')
    .addOption(
      settingOption(
        '--database-url <url>',
        'database whose record of the archive is compared too; without it, a removed end of a chain is not noticed',
        'DATABASE_URL',
      ),
    )
    .action(async (flags: Flags) => {
      const { runVerify } = await import('../archive/print.ts')
      const config = await readArchive(flags)
      await runVerify(await openArchive(config), {
        ...{ json: !!flags.json, deep: !!flags.deep, databaseUrl: config.DATABASE_URL },
      })
    })
  addQuery(archive)
  addRestore(archive)
  addCompact(archive)
  addHoldCommands(archive)
  addExpire(archive)
}
