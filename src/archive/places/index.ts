import * as z from 'zod'
import { ConfigError } from '../../core/errors.ts'
import { folderKind } from './folder.ts'
import type { Place, PlaceKind } from './place.ts'

/** The kinds of places. The first one that the settings ask for is taken; the folder comes last. */
const placeKinds: readonly PlaceKind[] = [folderKind]

/** The settings of every kind of place. */
export const placeSettings = Object.assign(
  {},
  ...placeKinds.map(({ settings }) => settings),
) as object

/**
 * Opens the place that the settings ask for, without looking at it yet.
 *
 * @param given any settings; each kind picks its own and checks them
 * @throws ConfigError naming the setting
 */
export function openPlace(given: Record<string, unknown>): Place {
  for (const { settings, open } of placeKinds) {
    const read = z.object(settings).safeParse(given)
    if (!read.success) {
      const problems = read.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
      throw new ConfigError(problems.join('\n'), problems)
    }
    const place = open(read.data)
    if (place) return place
  }
  throw new ConfigError('ARCHIVE_DIR: set it to the folder of the archive')
}
