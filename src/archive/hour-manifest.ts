import * as z from 'zod'
import { fromMicros, type Micros, toMicros } from '../core/time.ts'
import { DayFailure } from './day-failure.ts'
import { type DayKey, hourManifestPath, parseManifestPath, toPartition } from './layout.ts'
import {
  contradictionOfSums,
  fileShape,
  parseManifest,
  time,
  toArchivedFiles,
  whole,
} from './manifest-file.ts'
import { collect } from './places/content.ts'
import type { Place } from './places/place.ts'

/*
 * The manifests of hours, as earlier versions wrote them: one for each hour, without a chain. They are only read. The
 * first manifest of a day names the files of its hours too, and takes their place.
 */

const schema = z.object({
  version: z.literal(1),
  schema: z.string(),
  site: z.string(),
  hour: time,
  frozen_before: time,
  archived_at: time,
  archived_by: z.string(),
  lease: whole.positive().optional(),
  /** Null: the raw events were gone before the hour was archived, so it does not have them. */
  rows: z.object({ event: whole.nullable(), job: whole, subjob: whole }),
  late_events: whole,
  files: z.array(fileShape),
})

export type HourManifest = z.infer<typeof schema>

/**
 * @param hour by its start
 * @returns undefined when the hour has none
 * @throws DayFailure when it cannot be understood
 */
export async function readHourManifest(
  place: Place,
  hour: { site: string; from: Micros },
): Promise<HourManifest | undefined> {
  const path = hourManifestPath(hour)
  const content = await place.read(path)
  if (!content) return undefined
  const manifest = parseManifest(schema, (await collect(content.chunks())).toString('utf8'))
  if (typeof manifest === 'string') throw new DayFailure(`${path} ${manifest}`)
  const wrong = findContradiction(manifest, hour)
  if (wrong !== undefined) throw new DayFailure(`${path} ${wrong}`)
  return manifest
}

/** The manifests of all hours of a day that have one. @throws DayFailure as {@link readHourManifest} */
export async function readHours(place: Place, day: DayKey): Promise<HourManifest[]> {
  const hours: HourManifest[] = []
  for await (const path of place.list(`_manifest/${toPartition(day)}`)) {
    const name = parseManifestPath(path)
    if (!name || !('hour' in name)) continue
    const manifest = await readHourManifest(place, { site: name.site, from: name.hour })
    if (manifest) hours.push(manifest)
  }
  return hours
}

/** The files of some hours. */
export const filesOfHours = (hours: readonly HourManifest[]) =>
  hours.flatMap(({ files }) => toArchivedFiles(files))

function findContradiction(
  { site, hour, rows, files }: HourManifest,
  key: { site: string; from: Micros },
): string | undefined {
  if (site !== key.site || hour !== key.from) return `belongs to ${site} ${hour}`
  const end = fromMicros(toMicros(hour) + 3_600_000_000n)
  const folder = `site=${site}/dt=${hour.slice(0, 10)}/hour=${hour.slice(11, 13)}`
  for (const { table, path, at_min, at_max } of files) {
    if (!path.startsWith(`${table}/${folder}/`))
      return `names ${path}, which does not belong to this hour`
    const isInHour = hour <= at_min && at_min <= at_max && at_max < end
    if (!isInHour) return `names ${path} with times outside of the hour`
  }
  return contradictionOfSums(files, rows)
}
