/*
 * How a window of statistics is covered by rollups: the long stretch in its middle by the longest level,
 * what is left at its two ends by shorter ones, and less than an hour by the jobs themselves. So an
 * answer counts exactly the jobs of its window, whatever its ends.
 */

/** The levels of rollups, from the shortest. Weeks begin on Monday; all are of UTC. */
export const levels = ['hourly', 'daily', 'weekly', 'monthly'] as const
export type Level = (typeof levels)[number]

/** From `fromMs` (inclusive) to `toMs` (exclusive), milliseconds since 1970 with the microseconds as a fraction. */
export type Stretch = { of: Level | 'job'; fromMs: number; toMs: number }

const hourMs = 3_600_000
const dayMs = 24 * hourMs
/** The first Monday of 1970. */
const mondayMs = 4 * dayMs

/**
 * The stretches of a window in their order, without gap or overlap.
 *
 * @param top the longest level that may be used: no bucket of the answer may be shorter
 */
export function coverWindow(fromMs: number, toMs: number, top: Level): Stretch[] {
  if (fromMs >= toMs) return []
  return cover(fromMs, toMs, below[top], top)
}

/** What the ends of a stretch are made of. Months and weeks do not divide each other. */
const below: Record<Level, Level | 'job'> = {
  monthly: 'daily',
  weekly: 'daily',
  daily: 'hourly',
  hourly: 'job',
}

function cover(fromMs: number, toMs: number, ends: Level | 'job', of: Level): Stretch[] {
  const [first, last] = [ceilOf(of, fromMs), floorOf(of, toMs)]
  const rest = (a: number, b: number): Stretch[] => {
    if (a >= b) return []
    return ends === 'job' ? [{ of: 'job', fromMs: a, toMs: b }] : cover(a, b, below[ends], ends)
  }
  if (first >= last) return rest(fromMs, toMs)
  return [...rest(fromMs, first), { of, fromMs: first, toMs: last }, ...rest(last, toMs)]
}

/** The start of the bucket in which a time lies. */
export function floorOf(level: Level, ms: number): number {
  if (level === 'monthly') return monthOf(ms, 0)
  const [width, origin] = widths[level]
  return Math.floor((ms - origin) / width) * width + origin
}

const widths = {
  hourly: [hourMs, 0],
  daily: [dayMs, 0],
  weekly: [7 * dayMs, mondayMs],
} as const

const ceilOf = (level: Level, ms: number): number => {
  const floor = floorOf(level, ms)
  return floor === ms ? ms : endOf(level, floor)
}

/** The end of the bucket that begins at a time. */
const endOf = (level: Level, startMs: number): number =>
  level === 'monthly' ? monthOf(startMs, 1) : startMs + widths[level][0]

function monthOf(ms: number, more: number): number {
  const date = new Date(Math.floor(ms))
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + more, 1)
}
