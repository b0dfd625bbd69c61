import { compareText } from '../../core/compare-text.ts'
import { fromMs, type Micros, toMs } from '../../core/time.ts'
import {
  type DayKey,
  manifestFolder,
  parseManifestPath,
  toManifestFolder,
  toPartition,
} from '../layout.ts'
import type { Place } from '../places/place.ts'

/* Which days the archive has, from the names of their manifests alone. */

/** A day that the archive has, and which manifests. */
export type FoundDay = DayKey & {
  /** The greatest number of its manifests; undefined for one that has only hours. */
  number: number | undefined
  /** The starts of the hours that have a manifest, from a version before. */
  hours: readonly Micros[]
}

/** A place in an archive: a day of a site. */
export type ReadPosition = { day: string; site: string }

export type DaysWanted = {
  sites?: readonly string[] | undefined
  /** Days that overlap `from` (included) to `to` (not). */
  from?: Micros | undefined
  to?: Micros | undefined
  /** Instead: these alone. */
  days?: readonly DayKey[] | undefined
  /** By time, and then by site; `asc` unless given. */
  order?: 'asc' | 'desc' | undefined
  /** The first day of those that are left, in this order. */
  resume?: ReadPosition | undefined
}

/** Of a span up to so many days each is looked up; of a longer one all names of a site are listed. */
const maxLookedUp = 8
const dayMs = 86_400_000

/**
 * The days that are wanted and there, in the order of the days, and of sites within one.
 *
 * @throws what listing throws, and AppError invalid for a name that is not a site's
 */
export async function findDays(place: Place, wanted: DaysWanted): Promise<FoundDay[]> {
  const found: FoundDay[] = []
  for (const prefix of prefixesOf(wanted)) found.push(...(await findBelow(place, prefix)))
  const { order = 'asc', resume } = wanted
  const isLeft = (day: FoundDay) => !resume || compareDays(day, toKey(resume)) * sign(order) >= 0
  return found
    .filter((day) => overlaps(day, wanted) && isLeft(day))
    .sort((a, b) => compareDays(a, b) * sign(order))
}

/** The day as it is now. Undefined when it has no manifest any more. */
export async function findDay(place: Place, key: DayKey): Promise<FoundDay | undefined> {
  return (await findBelow(place, `${manifestFolder}/${toPartition(key)}`))[0]
}

export const toPosition = ({ site, from }: DayKey): ReadPosition => ({
  day: from.slice(0, 10),
  site,
})
const toKey = ({ day, site }: ReadPosition): DayKey => ({ from: `${day}T00:00:00.000000Z`, site })
const sign = (order: 'asc' | 'desc') => (order === 'asc' ? 1 : -1)
const compareDays = (a: DayKey, b: DayKey) =>
  compareText(a.from, b.from) || compareText(a.site, b.site)

function prefixesOf({ days, sites, from, to }: DaysWanted): string[] {
  if (days) return [...new Set(days.map((day) => `${manifestFolder}/${toPartition(day)}`))]
  if (!sites) return [manifestFolder]
  return [...new Set(sites)].flatMap((site) => {
    const few = daysBetween(from, to)
    if (!few) return [toManifestFolder(site)]
    return few.map((start) => `${manifestFolder}/${toPartition({ site, from: start })}`)
  })
}

/** The days of a span; undefined when it has no end or too many of them. */
function daysBetween(from: Micros | undefined, to: Micros | undefined): Micros[] | undefined {
  if (from === undefined || to === undefined) return undefined
  const first = Math.floor(toMs(from) / dayMs)
  const end = Math.floor(toMs(to) / dayMs) + 1
  if (end - first > maxLookedUp) return undefined
  return Array.from({ length: Math.max(0, end - first) }, (_, i) => fromMs((first + i) * dayMs))
}

/** By day: names come in order, those of a day one after the other. */
async function findBelow(place: Place, prefix: string): Promise<FoundDay[]> {
  const found: FoundDay[] = []
  for await (const path of place.list(prefix)) {
    const name = parseManifestPath(path)
    if (!name) continue
    const { site, from } = name
    const last = found.at(-1)
    const isSame = last?.site === site && last.from === from
    const day = isSame ? last : { site, from, number: undefined, hours: [] }
    const [number, hours] = 'number' in name ? [[name.number], []] : [[], [name.hour]]
    const next: FoundDay = {
      ...{ site, from, hours: [...day.hours, ...hours] },
      number: [...number, ...(day.number === undefined ? [] : [day.number])].sort(
        (a, b) => b - a,
      )[0],
    }
    if (isSame) found[found.length - 1] = next
    else found.push(next)
  }
  return found
}

function overlaps({ from: start }: DayKey, { from, to }: DaysWanted): boolean {
  const end = fromMs(toMs(start) + dayMs)
  return (from === undefined || end > from) && (to === undefined || start < to)
}
