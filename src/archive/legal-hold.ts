import { archiveKinds } from '../store/archive/columns.ts'
import { concernsDay } from './day-failure.ts'
import { holdsOf } from './held-day.ts'
import { type Hold, holdPath, mayHold } from './hold.ts'
import { filesOfHours, readHours } from './hour-manifest.ts'
import { type DayKey, manifestFolder, parseManifestPath, toManifestFolder } from './layout.ts'
import { type Expiries, readManifest } from './manifest.ts'
import { toArchivedFiles } from './manifest-file.ts'
import type { Place } from './places/place.ts'
import { type Problem, toProblem } from './problem.ts'

/*
 * What a hold comes to: the days that it finds deleted already, and, where the bucket has object lock, the legal hold of
 * the objects of the days that it holds. The store refuses to delete those whoever asks; wafermon does not delete them
 * anyway.
 */

/** What was found in the days of a hold's site and range. */
export type HoldEffect = {
  /** Days that it holds; of a hold with a key they are known only where there is object lock. */
  days: number
  /** Files whose legal hold was set, or taken off; null where the place has no object lock. */
  files: number | null
  /** Days of which something was deleted for its age before. */
  expired: { site: string; day: string; expired: Expiries }[]
  /** Days and files that could not be dealt with. */
  problems: Problem[]
}

/**
 * Looks at the days of a hold that was placed or released, and sets or takes off the legal hold of their files.
 *
 * @param holds all of them as they are now: what another one holds keeps its legal hold
 */
export async function applyHold(
  place: Place,
  hold: Hold,
  holds: readonly Hold[],
): Promise<HoldEffect> {
  const effect: HoldEffect = { days: 0, files: null, expired: [], problems: [] }
  const isLocked = await place.holdName?.(holdPath(hold), hold.state === 'held')
  if (isLocked) effect.files = 0
  const scope: Hold = { ...hold, state: 'held' }
  for await (const day of daysOf(place, scope)) {
    try {
      await applyToDay(place, { day, scope, holds }, effect)
    } catch (error) {
      if (!concernsDay(error)) throw error
      effect.problems.push(toProblem(`${day.site} ${day.from.slice(0, 10)}`, error))
    }
  }
  return effect
}

async function applyToDay(
  place: Place,
  { day, scope, holds }: { day: ListedDay; scope: Hold; holds: readonly Hold[] },
  effect: HoldEffect,
): Promise<void> {
  if (effect.files === null && scope.key === null) effect.days++
  // The first manifest of a day takes nothing out, but of one that was written by the hour.
  if (effect.files === null && day.number < 2 && !day.hours) return
  const newest = day.number > 0 ? await readManifest(place, day, day.number) : undefined
  const expired = newest?.manifest.expired ?? {}
  if (archiveKinds.some((kind) => expired[kind])) {
    effect.expired.push({ site: day.site, day: day.from.slice(0, 10), expired })
  }
  if (effect.files === null) return
  const files = newest
    ? toArchivedFiles(newest.manifest.files)
    : filesOfHours(await readHours(place, day))
  if ((await holdsOf(place, [scope], day, files)).length === 0) return
  effect.days++
  const isHeld = (await holdsOf(place, holds, day, files)).length > 0
  for (const { path } of files) {
    await place.holdName?.(path, isHeld)
    effect.files++
  }
}

/** An archived day, the number of its newest manifest (0: it has those of hours alone), and whether those are there. */
type ListedDay = DayKey & { number: number; hours: boolean }

/** The archived days of a hold's site and range. */
async function* daysOf(place: Place, hold: Hold): AsyncGenerator<ListedDay> {
  let last: ListedDay | undefined
  const below = hold.site === null ? manifestFolder : toManifestFolder(hold.site)
  for await (const path of place.list(below)) {
    const name = parseManifestPath(path)
    if (!name || !mayHold(hold, name)) continue
    const { site, from } = name
    if (last?.site !== site || last.from !== from) {
      if (last) yield last
      last = { site, from, number: 0, hours: false }
    }
    if ('number' in name) last.number = Math.max(last.number, name.number)
    else last.hours = true
  }
  if (last) yield last
}
