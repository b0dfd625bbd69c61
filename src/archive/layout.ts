import { AppError } from '../core/errors.ts'
import { ensure } from '../core/must.ts'
import { siteIdPattern } from '../core/site-id.ts'
import { type Micros, parseTime } from '../core/time.ts'

/*
 * The names in the archive: a Hive-partitioned table that any engine reads.
 *
 *   event/site=fab1/dt=2026-03-01/<first>-<last>-<sha8>.parquet   (by event_at)
 *   job/..., subjob/...                                            (by ended_at)
 *   _manifest/site=fab1/dt=2026-03-01/00001.json                   (written last; the greatest number counts)
 *
 * Files that are being written are staged under labels site=fab1/..., without a name (places/place.ts).
 * Engines skip names that begin with an underscore.
 *
 * Earlier versions wrote hours: event/site=fab1/dt=2026-03-01/hour=13/... and
 * _manifest/site=fab1/dt=2026-03-01/hour=13.json. The first manifest of such a day names their files too.
 */

/** A day of a site, by its start. */
export type DayKey = { site: string; from: Micros }

/** Version of the columns; put into every file and manifest. */
export const schemaVersion = '2'

const wholeDay = /^\d{4}-\d\d-\d\dT00:00:00\.000000Z$/

/**
 * `site=fab1`. A site's id becomes part of a name, so it is checked once more here.
 *
 * @throws AppError invalid, when it is not a site id
 */
export function siteFolder(site: string): string {
  if (siteIdPattern.test(site)) return `site=${site}`
  throw new AppError('invalid', `${JSON.stringify(site)} is not a site id`, { field: 'site_id' })
}

/** `site=fab1/dt=2026-03-01`. @throws AppError invalid, as {@link siteFolder} */
export function toPartition({ site, from }: DayKey): string {
  if (!wholeDay.test(from)) throw new AppError('invalid', `${from} is not the start of a day`)
  return `${siteFolder(site)}/dt=${from.slice(0, 10)}`
}

/** All manifests lie below it. */
export const manifestFolder = '_manifest'

/** The manifests of a site lie below it. */
export const toManifestFolder = (site: string) => `${manifestFolder}/${siteFolder(site)}`

/** `_manifest/site=fab1/dt=2026-03-01/00001.json` */
export const manifestPath = (key: DayKey, number: number) =>
  `${manifestFolder}/${toPartition(key)}/${String(number).padStart(5, '0')}.json`

/** `_manifest/site=fab1/dt=2026-03-01/hour=13.json`. @param from the start of the hour */
export const hourManifestPath = ({ site, from }: DayKey) =>
  `${manifestFolder}/${siteFolder(site)}/dt=${from.slice(0, 10)}/hour=${from.slice(11, 13)}.json`

const manifestName =
  /^_manifest\/site=([^/]+)\/dt=(\d{4}-\d\d-\d\d)\/(?:(\d{5,9})|hour=(\d\d))\.json$/

/** The manifest of a day or, from an earlier version, of an hour. */
export type ManifestName = DayKey & ({ number: number } | { hour: Micros })

/** The inverse of {@link manifestPath} and {@link hourManifestPath}; undefined for every other path. */
export function parseManifestPath(path: string): ManifestName | undefined {
  const [, site, date, number, hour] = manifestName.exec(path) ?? []
  if (site === undefined || !siteIdPattern.test(site)) return undefined
  const from = `${date}T00:00:00.000000Z`
  if (parseTime(from) !== from) return undefined
  if (hour !== undefined) return { site, from, hour: `${date}T${hour}:00:00.000000Z` }
  const key = { site, from, number: Number(number) }
  return key.number > 0 && manifestPath(key, key.number) === path ? key : undefined
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
