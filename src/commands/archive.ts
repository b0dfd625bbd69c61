import type { Command } from 'commander'
import { type ConfigFlags, configOption, jsonOption, readTool, settingOption } from './options.ts'

type Flags = ConfigFlags & { dir?: string; json?: boolean; deep?: boolean }

/** Adds `wafermon archive ls` and `wafermon archive verify`. */
export function addArchive(program: Command): void {
  const archive = program
    .command('archive')
    .description('inspects the archive in its folder; needs no database, changes nothing')
  withFolder(archive.command('ls'))
    .description('lists the archived hours')
    .action(async (flags: Flags) => {
      const { runList } = await import('../archive/print.ts')
      await runList({ dir: await readDir(flags), json: !!flags.json })
    })
  withFolder(archive.command('verify'))
    .description('compares the files with their manifests; exit code 1 when anything is wrong')
    .option('--deep', 'read every byte and decode every column')
    .action(async (flags: Flags) => {
      const { runVerify } = await import('../archive/print.ts')
      await runVerify({ dir: await readDir(flags), json: !!flags.json, deep: !!flags.deep })
    })
}

const withFolder = (command: Command) =>
  command
    .addOption(settingOption('--dir <folder>', 'folder of the archive', 'ARCHIVE_DIR'))
    .addOption(configOption())
    .addOption(jsonOption())

async function readDir(flags: Flags): Promise<string> {
  return (await readTool('archive', flags, { ARCHIVE_DIR: ['--dir', flags.dir] })).ARCHIVE_DIR
}
