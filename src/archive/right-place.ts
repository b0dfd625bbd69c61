import { AppError } from '../core/errors.ts'
import { notedSite } from '../store/archive/files.ts'
import type { Store } from '../store/connect.ts'
import { toManifestFolder } from './layout.ts'
import type { Place } from './places/place.ts'

/**
 * A mount point with nothing mounted looks like an archive that was never written to.
 *
 * @throws AppError unavailable when the place has no manifest of a site that is on record
 */
export async function assertRightPlace(place: Place, reader: Store): Promise<void> {
  const site = await notedSite(reader)
  if (site === undefined) return
  for await (const _ of place.list(toManifestFolder(site))) return
  throw new AppError(
    'unavailable',
    `${place.setting}: ${place.address} has no files of ${site}, although it was archived before; mount the right folder`,
  )
}
