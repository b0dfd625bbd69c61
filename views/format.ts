import { type Micros, toMs } from '../src/core/time.ts'

/**
 * The one place where values become text for people. U+00A0 separates a number from its unit, so
 * that a line never breaks between them; minus is U+2212; thousands are separated; times are 24 h.
 */
export const nbsp = '\u00a0'
const minus = '\u2212'

const formatters = new Map<number, Intl.NumberFormat>()

/** `1,204.5`: thousands separated, a fixed number of decimals. Empty when it is not a number. */
export function number(value: number | null | undefined, decimals = 0): string {
  if (value === null || value === undefined || !Number.isFinite(value)) return ''
  let formatter = formatters.get(decimals)
  if (!formatter) {
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals }
    formatter = new Intl.NumberFormat('en-US', digits)
    formatters.set(decimals, formatter)
  }
  const text = formatter.format(Math.abs(value))
  return value < 0 && /[1-9]/.test(text) ? minus + text : text
}

/** `1,204 MiB`. Empty when there is no value. */
export function withUnit(value: number | null | undefined, unit: string, decimals = 0): string {
  const text = number(value, decimals)
  return text === '' ? '' : text + nbsp + unit
}

/** `3 jobs`, `1 job`. */
export function count(n: number, one: string, many = `${one}s`): string {
  return `${number(n)}${nbsp}${n === 1 ? one : many}`
}

/** A share from 0 to 1 as `58.6 %`. Never rounds to 0 or 100 what is neither. */
export function percent(share: number | null | undefined, decimals = 1): string {
  if (share === null || share === undefined || !Number.isFinite(share)) return ''
  const step = 10 ** -decimals
  const value = share * 100
  if (value > 0 && value < step / 2) return `under${nbsp}${number(step, decimals)}${nbsp}%`
  if (value < 100 && value > 100 - step / 2)
    return `over${nbsp}${number(100 - step, decimals)}${nbsp}%`
  return `${number(value, decimals)}${nbsp}%`
}

/** A duration: `0.42 s` under ten seconds, then `1:06`, `2:03:04`, `3 d 02:03:04`. */
export function duration(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return ''
  if (seconds < 0) return minus + duration(-seconds)
  if (seconds < 9.995) return withUnit(seconds, 's', 2)
  return clockLike(Math.round(seconds))
}

/** A time ago: whole seconds under a minute, then as {@link duration}. */
export function age(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return ''
  const whole = Math.max(0, Math.round(seconds))
  return whole < 60 ? withUnit(whole, 's') : clockLike(whole)
}

/** The time something has been running: `0:04`, `1:06`, to the second, so that it only counts up. */
export function running(seconds: number | null | undefined): string {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return ''
  return clockLike(Math.max(0, Math.floor(seconds)))
}

function clockLike(whole: number): string {
  const two = (n: number) => String(n).padStart(2, '0')
  const [s, m, h] = [whole % 60, Math.floor(whole / 60) % 60, Math.floor(whole / 3600) % 24]
  const days = Math.floor(whole / 86_400)
  if (days > 0) return `${number(days)}${nbsp}d${nbsp}${two(h)}:${two(m)}:${two(s)}`
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`
}

/** A measured value of unknown unit: whole numbers as they are, others to five significant digits. */
export function measured(value: number): string {
  if (!Number.isFinite(value)) return ''
  if (Number.isInteger(value) && Math.abs(value) < 1e15) return number(value)
  const magnitude = Math.floor(Math.log10(Math.abs(value)))
  if (magnitude < -6 || magnitude > 14) return value.toExponential(4).replaceAll('-', minus)
  const text = number(value, Math.max(0, 4 - magnitude))
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}

/** Seconds ahead (+) or behind (−): `+0.02`. */
export function signed(value: number, decimals = 2): string {
  const text = number(value, decimals)
  return text.startsWith(minus) ? text : `+${text}`
}

/** A time zone of the tz database, for example `Europe/Berlin`. */
export type Zone = string

/** The zone of the machine that renders. */
export const serverZone: Zone = Intl.DateTimeFormat().resolvedOptions().timeZone

const zoned = new Map<Zone, Intl.DateTimeFormat>()

function partsIn(at: Micros, zone: Zone): Record<string, string> {
  let formatter = zoned.get(zone)
  if (!formatter) {
    formatter = new Intl.DateTimeFormat('en-GB', {
      timeZone: zone,
      hourCycle: 'h23',
      year: 'numeric',
      month: '2-digit',
      day: '2-digit',
      hour: '2-digit',
      minute: '2-digit',
      second: '2-digit',
    })
    zoned.set(zone, formatter)
  }
  const parts = formatter.formatToParts(Math.floor(toMs(at)))
  return Object.fromEntries(parts.map(({ type, value }) => [type, value]))
}

/** `2026-11-23`. */
export function day(at: Micros, zone: Zone = serverZone): string {
  const { year, month, day } = partsIn(at, zone)
  return `${year?.padStart(4, '0')}-${month}-${day}`
}

/** `14:42:08`. */
export function clock(at: Micros, zone: Zone = serverZone): string {
  const { hour, minute, second } = partsIn(at, zone)
  return `${hour}:${minute}:${second}`
}

/** `14:42`. */
export function hourMinute(at: Micros, zone: Zone = serverZone): string {
  return clock(at, zone).slice(0, 5)
}

/** `14:42:08.123`: truncated to milliseconds, not rounded. */
export function clockMs(at: Micros, zone: Zone = serverZone): string {
  return `${clock(at, zone)}.${at.slice(20, 23)}`
}

/** The clock, after the day unless that is today's, with the year unless that is this year's. */
export function when(at: Micros | null, now: Micros, zone: Zone = serverZone): string {
  if (at === null) return ''
  const [date, today] = [day(at, zone), day(now, zone)]
  if (date === today) return clock(at, zone)
  const shown = date.slice(0, 4) === today.slice(0, 4) ? date.slice(5) : date
  return `${shown}${nbsp}${clock(at, zone)}`
}

/** The name and offset of a zone at a time: `CET (UTC+1)`, or `UTC`. */
export function zoneName(at: Micros, zone: Zone = serverZone): string {
  const offset = zonePart(at, zone, 'shortOffset', 'en-US')
    .replace(/^GMT(\+0)?$/, 'UTC')
    .replace('GMT', 'UTC')
    .replace('-', minus)
  // No locale has the short names of all zones: one has those of Europe, the other those of America.
  const names = ['en-GB', 'en-US'].map((locale) => zonePart(at, zone, 'short', locale))
  const name = names.find((candidate) => !/^(GMT|UTC)/.test(candidate))
  return name === undefined ? offset : `${name} (${offset})`
}

/** `CET`, `UTC`, or `UTC+8` where the zone has no short name. */
export function zoneShort(at: Micros, zone: Zone = serverZone): string {
  return zoneName(at, zone).replace(/ \(.*/, '')
}

function zonePart(
  at: Micros,
  timeZone: Zone,
  style: 'short' | 'shortOffset',
  locale: string,
): string {
  const formatter = new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: style })
  const parts = formatter.formatToParts(Math.floor(toMs(at)))
  return parts.find(({ type }) => type === 'timeZoneName')?.value ?? timeZone
}

/** At most `max` whole characters, the last of them `…` when something was left out. */
export function cut(text: string, max: number): string {
  const chars = Array.from(text.slice(0, 2 * max))
  if (chars.length <= max && text.length <= 2 * max) return text
  return `${chars.slice(0, max - 1).join('')}…`
}

/** `Last error` for `last error`. */
export const capitalize = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)

/** Any JSON value on one line: text as it is, the rest as JSON. */
export function plain(value: unknown): string {
  if (typeof value === 'string') return value
  if (typeof value === 'number') return measured(value)
  return JSON.stringify(value) ?? ''
}
