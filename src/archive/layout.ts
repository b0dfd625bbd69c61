import { AppError } from '../core/errors.ts'
import { ensure } from '../core/must.ts'
import { siteIdPattern } from '../core/site-id.ts'
import type { Micros } from '../core/time.ts'

/*
 * The names in the archive: a Hive-partitioned table that any engine reads.
 *
 *   event/site=fab1/dt=2026-03-01/hour=13/<first>-<last>-<sha8>.parquet   (by at)
 *   job/..., subjob/...                                                    (by ended_at)
 *   _manifest/site=fab1/dt=2026-03-01/hour=13.json                         (written last)
 *
 * Files that are being written are staged under labels site=fab1/..., without a name (places/place.ts).
 * Engines skip names that begin with an underscore.
 */

/** An hour of a site, by its start. */
export type HourKey = { site: string; from: Micros }

/** Version of the columns; put into every file and manifest. */
export const schemaVersion = '1'

const wholeHour = /^\d{4}-\d\d-\d\dT\d\d:00:00\.000000Z$/

/**
 * `site=fab1`. A site's id becomes part of a name, so it is checked once more here.
 *
 * @throws AppError invalid, when it is not a site id
 */
export function siteFolder(site: string): string {
  if (siteIdPattern.test(site)) return `site=${site}`
  throw new AppError('invalid', `${JSON.stringify(site)} is not a site id`, { field: 'site_id' })
}

/** `site=fab1/dt=2026-03-01/hour=13`. @throws AppError invalid, as {@link siteFolder} */
export function toPartition({ site, from }: HourKey): string {
  if (!wholeHour.test(from)) throw new AppError('invalid', `${from} is not a whole hour`)
  return `${siteFolder(site)}/dt=${from.slice(0, 10)}/hour=${from.slice(11, 13)}`
}

/** All manifests lie below it. */
export const manifestFolder = '_manifest'

/** The manifests of a site lie below it. */
export const toManifestFolder = (site: string) => `${manifestFolder}/${siteFolder(site)}`

export const manifestPath = (key: HourKey) => `${manifestFolder}/${toPartition(key)}.json`

const manifestName = /^_manifest\/site=([^/]+)\/dt=(\d{4}-\d\d-\d\d)\/hour=(\d\d)\.json$/

/** The inverse of {@link manifestPath}; undefined for every other path. */
export function parseManifestPath(path: string): HourKey | undefined {
  const [, site, day, hour] = manifestName.exec(path) ?? []
  if (site === undefined || !siteIdPattern.test(site)) return undefined
  return { site, from: `${day}T${hour}:00:00.000000Z` }
}

/** `20260301T130000000001Z-20260301T135959000000Z-1a2b3c4d.parquet` */
export function fileName(first: Micros, last: Micros, sha256: string): string {
  ensure(first <= last, 'the rows of a file are in the order of time')
  const compact = (time: Micros) => time.replaceAll(/[-:.]/g, '')
  return `${compact(first)}-${compact(last)}-${sha256.slice(0, 8)}.parquet`
}

/** A name that {@link fileName} makes: no other file in the archive is ever removed. */
export const isOurFile = (path: string) =>
  /(?:^|\/)\d{8}T\d{12}Z-\d{8}T\d{12}Z-[0-9a-f]{8}\.parquet$/.test(path)
