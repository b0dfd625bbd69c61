import type { Command } from 'commander'

type Flags = { dir: string; json?: boolean; deep?: boolean }

/** Adds `wafermon archive ls` and `wafermon archive verify`. */
export function addArchive(program: Command): void {
  const archive = program
    .command('archive')
    .description('looks at the archive in its folder; needs no database, changes nothing')
  withFolder(archive.command('ls'))
    .description('lists the archived hours')
    .action(async ({ dir, json }: Flags) => {
      const { runList } = await import('../archive/print.ts')
      await runList({ dir, json: !!json })
    })
  withFolder(archive.command('verify'))
    .description('compares the files with their manifests; exit code 1 when anything is wrong')
    .option('--deep', 'read every byte and decode every column')
    .action(async ({ dir, json, deep }: Flags) => {
      const { runVerify } = await import('../archive/print.ts')
      await runVerify({ dir, json: !!json, deep: !!deep })
    })
}

const withFolder = (command: Command) =>
  command
    .option(
      '--dir <folder>',
      'the archive (or ARCHIVE_DIR)',
      process.env.ARCHIVE_DIR || '/var/lib/wafermon/archive',
    )
    .option('--json', 'print the result as JSON')
