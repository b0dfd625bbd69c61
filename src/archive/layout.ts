import { AppError } from '../core/errors.ts'
import type { Micros } from '../core/time.ts'

/*
 * Where things lie in the archive. A Hive-partitioned table that any engine reads:
 *
 *   event/site=fab1/dt=2026-03-01/hour=13/<first>-<last>-<sha8>.parquet   (by at)
 *   job/..., subjob/...                                                    (by ended_at)
 *   _manifest/site=fab1/dt=2026-03-01/hour=13.json                         (written last)
 *   _tmp/site=fab1/                                                        (what is being written)
 *
 * Engines skip names that begin with an underscore.
 */

export type Place = { site: string; from: Micros }

/** Version of the columns; put into every file and manifest. */
export const schemaVersion = '1'

/** A site's name becomes part of a path, so it is looked at once more here. */
const siteName = /^(?!\.{1,2}$)[A-Za-z0-9._-]{1,64}$/
const wholeHour = /^\d{4}-\d\d-\d\dT\d\d:00:00\.000000Z$/

/** `site=fab1`. @throws AppError invalid, when the name could leave the folder */
export function siteFolder(site: string): string {
  if (siteName.test(site)) return `site=${site}`
  throw new AppError('invalid', `${JSON.stringify(site)} is no site id`, { field: 'site_id' })
}

/** `site=fab1/dt=2026-03-01/hour=13`. @throws AppError invalid, as {@link siteFolder} */
export function partitionOf({ site, from }: Place): string {
  if (!wholeHour.test(from)) throw new AppError('invalid', `${from} is no whole hour`)
  return `${siteFolder(site)}/dt=${from.slice(0, 10)}/hour=${from.slice(11, 13)}`
}

export const manifestPath = (place: Place) => `_manifest/${partitionOf(place)}.json`

const manifestName = /^_manifest\/site=([^/]+)\/dt=(\d{4}-\d\d-\d\d)\/hour=(\d\d)\.json$/

/** The inverse of {@link manifestPath}; undefined for every other path. */
export function placeOfManifest(path: string): Place | undefined {
  const [, site, day, hour] = manifestName.exec(path) ?? []
  if (site === undefined || !siteName.test(site)) return undefined
  return { site, from: `${day}T${hour}:00:00.000000Z` }
}

/** `20260301T130000000001Z-20260301T135959000000Z-1a2b3c4d.parquet` */
export function fileName(first: Micros, last: Micros, sha256: string): string {
  const compact = (time: Micros) => time.replaceAll(/[-:.]/g, '')
  return `${compact(first)}-${compact(last)}-${sha256.slice(0, 8)}.parquet`
}

/** What {@link fileName} makes: nothing else in the archive is ever removed. */
export const isOurFile = (name: string) =>
  /^\d{8}T\d{12}Z-\d{8}T\d{12}Z-[0-9a-f]{8}\.parquet$/.test(name)
