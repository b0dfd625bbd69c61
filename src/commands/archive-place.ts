import type { Command } from 'commander'
import { type ConfigFlags, configOption, jsonOption, readTool, settingOption } from './options.ts'

/* The options by which all commands of the archive find it. */

export type PlaceFlags = ConfigFlags & { dir?: string; databaseUrl?: string; json?: boolean }

export const withPlace = (command: Command) =>
  command
    .addOption(
      settingOption('--dir <place>', 'folder of the archive, or s3://bucket/prefix', 'ARCHIVE_DIR'),
    )
    .addOption(configOption())
    .addOption(jsonOption())

/** Opens the place that the settings ask for. */
export async function openArchive(config: Awaited<ReturnType<typeof readArchive>>) {
  const { openPlace } = await import('../archive/places/index.ts')
  return openPlace(config)
}

/** The settings; where `--dir` is given, it alone says where the archive is. */
export async function readArchive(flags: PlaceFlags) {
  const { toPlaceSettings } = await import('../archive/places/index.ts')
  const asked = flags.dir === undefined ? {} : toPlaceSettings(flags.dir)
  const given = Object.entries(asked).map(([name, value]) => [name, ['--dir', value] as const])
  const config = await readTool('archive', flags, {
    ...Object.fromEntries(given),
    DATABASE_URL: ['--database-url', flags.databaseUrl],
  })
  return { ...config, ...asked }
}
