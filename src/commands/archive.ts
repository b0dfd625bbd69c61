import type { Command } from 'commander'
import { type ConfigFlags, configOption, jsonOption, readTool, settingOption } from './options.ts'

type Flags = ConfigFlags & {
  dir?: string
  databaseUrl?: string
  json?: boolean
  deep?: boolean
}

/** Adds `wafermon archive ls` and `wafermon archive verify`. */
export function addArchive(program: Command): void {
  const archive = program.command('archive').description('inspects the archive; changes nothing')
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
}

const withPlace = (command: Command) =>
  command
    .addOption(
      settingOption('--dir <place>', 'folder of the archive, or s3://bucket/prefix', 'ARCHIVE_DIR'),
    )
    .addOption(configOption())
    .addOption(jsonOption())

async function openArchive(config: Awaited<ReturnType<typeof readArchive>>) {
  const { openPlace } = await import('../archive/places/index.ts')
  return openPlace(config)
}

/** The settings; where `--dir` is given, it alone says where the archive is. */
async function readArchive(flags: Flags) {
  const { toPlaceSettings } = await import('../archive/places/index.ts')
  const asked = flags.dir === undefined ? {} : toPlaceSettings(flags.dir)
  const given = Object.entries(asked).map(([name, value]) => [name, ['--dir', value] as const])
  const config = await readTool('archive', flags, {
    ...Object.fromEntries(given),
    DATABASE_URL: ['--database-url', flags.databaseUrl],
  })
  return { ...config, ...asked }
}
