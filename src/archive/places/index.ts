import * as z from 'zod'
import { ConfigError } from '../../core/errors.ts'
import { folderKind } from './folder.ts'
import type { OpenOptions, Place, PlaceKind } from './place.ts'
import { s3Kind } from './s3.ts'
import { fromAddress } from './s3-settings.ts'

/** The kinds of places. The first one that the settings ask for is taken; the folder comes last. */
const placeKinds: readonly PlaceKind[] = [s3Kind as PlaceKind, folderKind as PlaceKind]

/** The settings of every kind of place. */
export const placeSettings = Object.assign(
  {},
  ...placeKinds.map(({ settings }) => settings),
) as object

/** Those of some settings that say where the archive is. */
export const pickPlaceSettings = (given: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.keys(placeSettings).map((name) => [name, given[name]]))

/** The settings that mean an address of the command line: a folder, or `s3://bucket/prefix`. Those of other places are unset. */
export function toPlaceSettings(address: string): Record<string, string | undefined> {
  const asked = fromAddress(address)
  if (asked) return { ARCHIVE_DIR: undefined, ...asked }
  const none = Object.keys(placeSettings).map((name) => [name, undefined])
  return { ...Object.fromEntries(none), ARCHIVE_DIR: address }
}

/**
 * Opens the place that the settings ask for, without looking at it yet.
 *
 * @param given any settings; each kind picks its own and checks them
 * @throws ConfigError naming the setting
 */
export function openPlace(
  given: Record<string, unknown>,
  options: Pick<OpenOptions, 'onLimit'> = {},
): Place {
  for (const { settings, open } of placeKinds) {
    const read = z.object(settings).safeParse(given)
    if (!read.success) {
      const problems = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
      throw new ConfigError(problems.join('\n'), problems)
    }
    const place = open(read.data, { ...options, given })
    if (place) return place
  }
  throw new ConfigError('ARCHIVE_DIR: set it to the folder of the archive')
}
