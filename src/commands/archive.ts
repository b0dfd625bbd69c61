import type { Command } from 'commander'

type Flags = { dir?: string; json?: boolean; deep?: boolean }

/** Adds `wafermon archive ls` and `wafermon archive verify`. */
export function addArchive(program: Command): void {
  const archive = program
    .command('archive')
    .description('inspects the archive; needs no database, changes nothing')
  withPlace(archive.command('ls'))
    .description('lists the archived hours')
    .action(async ({ dir, json }: Flags) => {
      const { runList } = await import('../archive/print.ts')
      await runList(await openArchive(dir), { json: !!json })
    })
  withPlace(archive.command('verify'))
    .description('compares the files with their manifests; exit code 1 when there is a problem')
    .option('--deep', 'read every byte and decode every column')
    .action(async ({ dir, json, deep }: Flags) => {
      const { runVerify } = await import('../archive/print.ts')
      await runVerify(await openArchive(dir), { json: !!json, deep: !!deep })
    })
}

const withPlace = (command: Command) =>
  command
    .option('--dir <folder>', 'the archive (default: ARCHIVE_DIR, else /var/lib/wafermon/archive)')
    .option('--json', 'print the result as JSON')

async function openArchive(dir: string | undefined) {
  const { openPlace } = await import('../archive/places/index.ts')
  return openPlace({ ARCHIVE_DIR: dir || process.env.ARCHIVE_DIR || undefined })
}
