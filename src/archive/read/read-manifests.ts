import { AppError } from '../../core/errors.ts'
import { fromMs, type Micros, toMs } from '../../core/time.ts'
import type { ArchiveKind } from '../../store/archive/columns.ts'
import type { ArchivedFile } from '../../store/archive/files.ts'
import { filesOfHours, readHourManifest } from '../hour-manifest.ts'
import { manifestPath } from '../layout.ts'
import { readManifest } from '../manifest.ts'
import { toArchivedFiles } from '../manifest-file.ts'
import type { Place } from '../places/place.ts'
import type { FoundDay } from './find-days.ts'

/* What a day has, by its manifest: the greatest number counts; of a day that has none, those of its hours. */

export type DayFiles = {
  files: ArchivedFile[]
  /** Spans of which there are no rows, though there should be. */
  missing: { from: Micros; to: Micros; why: string }[]
  /** How many manifests could not be read. */
  unreadable: number
}

/** @throws AppError unavailable when the place cannot be reached */
export async function readDayFiles(
  place: Place,
  day: FoundDay,
  kind: ArchiveKind,
): Promise<DayFiles> {
  const found =
    day.number === undefined ? await ofHours(place, day, kind) : await ofDay(place, day, kind)
  return { ...found, files: found.files.filter((file) => file.kind === kind) }
}

const eventsGone = 'its events had been deleted before it was archived'

async function ofDay(place: Place, day: FoundDay, kind: ArchiveKind): Promise<DayFiles> {
  const span = spanOf(day.from, 24)
  const number = day.number ?? 1
  try {
    const found = await readManifest(place, day, number)
    if (!found) throw new Error(`${manifestPath(day, number)} is gone`)
    const { files, events_dropped, expired } = found.manifest
    const why: string[] = kind === 'event' && events_dropped ? [eventsGone] : []
    const age = expired?.[kind]
    if (age) why.push(`its ${kind}s were deleted for their age at ${age.at} by ${age.by}`)
    const missing = why.map((one) => ({ ...span, why: one }))
    return { files: toArchivedFiles(files), missing, unreadable: 0 }
  } catch (error) {
    return { files: [], missing: [{ ...span, why: toWhy(error) }], unreadable: 1 }
  }
}

async function ofHours(
  place: Place,
  { site, hours }: FoundDay,
  kind: ArchiveKind,
): Promise<DayFiles> {
  const found: DayFiles = { files: [], missing: [], unreadable: 0 }
  for (const from of hours) {
    try {
      const manifest = await readHourManifest(place, { site, from })
      if (!manifest) continue
      found.files.push(...filesOfHours([manifest]))
      const isGone = kind === 'event' && manifest.rows.event === null
      if (isGone) found.missing.push({ ...spanOf(from, 1), why: eventsGone })
    } catch (error) {
      found.missing.push({ ...spanOf(from, 1), why: toWhy(error) })
      found.unreadable++
    }
  }
  return found
}

const spanOf = (from: Micros, hours: number) => ({
  from,
  to: fromMs(toMs(from) + hours * 3_600_000),
})

function toWhy(error: unknown): string {
  if (error instanceof AppError && error.code === 'unavailable') throw error
  return error instanceof Error ? error.message : String(error)
}
