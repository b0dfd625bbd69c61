import { fromMicros, type Micros, parseTime, toMicros, toMs } from './time.ts'

/*
 * Times of events in the forms in which programs write them, beyond the one of `parseTime`: a wrong form
 * must not cost the end of a job. Only events are read so; questions, and times in metadata that SQL reads
 * as well (sql/migrations, fact_time), keep to the one form.
 */

const date = String.raw`(?<year>\d{4})-(?<month>\d\d)-(?<day>\d\d)[Tt ](?<hour>\d\d):(?<minute>\d\d):(?<second>\d\d)`
const zone = String.raw`(?:\.(?<fraction>\d+))? ?(?<zone>[Zz]|[+-]\d\d(?::?\d\d)?)?`
const extended = new RegExp(`^${date}${zone}$`)
const basic = new RegExp(`^${date.replaceAll(')-', ')').replaceAll('):', ')')}${zone}$`)

/**
 * Reads a time of an event: also `+0000` and `+00`, basic ISO 8601 (`20260301T120000Z`), a second 60 (as
 * the last microsecond of the 59th) and more than nine decimals.
 *
 * @param siteZone the name of the zone of times that have none; without one they are not read
 */
export function readTime(text: string, siteZone?: string): Micros | undefined {
  const usual = parseTime(text)
  if (usual !== undefined) return usual
  const parts = (extended.exec(text) ?? basic.exec(text))?.groups
  if (!parts) return undefined
  const { year, month, day, hour, minute } = parts
  const leap = parts.second === '60'
  const second = leap ? '59' : parts.second
  const decimals = leap ? '999999' : (parts.fraction ?? '0').slice(0, 9)
  const at = `${year}-${month}-${day}T${hour}:${minute}:${second}.${decimals}`
  if (parts.zone !== undefined) return parseTime(at + toOffset(parts.zone))
  const local = siteZone === undefined ? undefined : parseTime(`${at}Z`)
  return local === undefined || siteZone === undefined ? undefined : fromLocal(local, siteZone)
}

function toOffset(given: string): string {
  if (given.length === 1 || given.length === 6) return given
  return `${given.slice(0, 3)}:${given.slice(3) || '00'}`
}

/** What stands for "no time" in Go and .NET, Windows, OLE and MySQL, in any zone. */
const zero = /^(?:0001-01-01|1601-01-01|1899-12-30|0000-00-00)(?:[Tt ][0:.]*(?:[Zz]|[+-][\d:]+)?)?$/

/** True for a text that says that there is no time: empty, or the zero of another language. */
export const isZeroTime = (text: string): boolean => text === '' || zero.test(text)

const formats = new Map<string, Intl.DateTimeFormat>()

function formatIn(timeZone: string): Intl.DateTimeFormat {
  const known = formats.get(timeZone)
  if (known) return known
  const numeric = { year: 'numeric', month: 'numeric', day: 'numeric' } as const
  const made = new Intl.DateTimeFormat('en-US', {
    ...numeric,
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric', hourCycle: 'h23', timeZone },
  })
  formats.set(timeZone, made)
  return made
}

/** True for a name of the time zone database, such as `Europe/Berlin`. */
export function isZone(name: string): boolean {
  try {
    formatIn(name)
    return true
  } catch {
    return false
  }
}

/** The time at which clocks of a zone show this; where they show it twice, either. */
function fromLocal(local: Micros, timeZone: string): Micros | undefined {
  const ms = toMs(local)
  const shift = shiftMs(ms - shiftMs(ms, timeZone), timeZone)
  const found = fromMicros(toMicros(local) - BigInt(shift) * 1000n)
  return found < '1970' ? undefined : found
}

/** Clocks are set at the beginning of a quarter of an hour, if at all. */
const quarterMs = 900_000
/** By zone: of which quarter the shift was found last. A file has thousands of times in one. */
const shifts = new Map<string, { quarter: number; shift: number }>()

/** How far clocks of a zone are ahead of UTC, at a time. */
function shiftMs(ms: number, timeZone: string): number {
  const quarter = Math.floor(ms / quarterMs)
  const known = shifts.get(timeZone)
  if (known?.quarter === quarter) return known.shift
  const shift = findShift(quarter * quarterMs, timeZone)
  // Once a clock was set within a quarter (Liberia, 1972): then its begin does not speak for all of it.
  if (shift !== findShift((quarter + 1) * quarterMs - 1000, timeZone))
    return findShift(ms, timeZone)
  shifts.set(timeZone, { quarter, shift })
  return shift
}

function findShift(ms: number, timeZone: string): number {
  const whole = Math.floor(ms / 1000) * 1000
  const shown = Object.fromEntries(
    formatIn(timeZone)
      .formatToParts(whole)
      .map(({ type, value }) => [type, Number(value)]),
  )
  const { year = 0, month = 1, day, hour, minute, second } = shown
  return Date.UTC(year, month - 1, day, hour, minute, second) - whole
}
