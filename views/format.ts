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

/**
 * The clock, after the day unless that is today's, with the year unless that is this year's; and the
 * zone after it where clocks were not set as they are now, as before summer time ended. So no two
 * times are ever written alike on one page, whose foot names the zone of all others.
 */
export function when(at: Micros | null, now: Micros, zone: Zone = serverZone): string {
  if (at === null) return ''
  return dated(at, now, zone) + clock(at, zone) + ownZone(at, now, zone)
}

/** The same to the millisecond, `14:42:08.123`: truncated, not rounded. */
export function whenMs(at: Micros, now: Micros, zone: Zone = serverZone): string {
  return `${dated(at, now, zone)}${clock(at, zone)}.${at.slice(20, 23)}${ownZone(at, now, zone)}`
}

/** The same with the zone in any case: `14:42:08 CET`. */
export function whenZoned(at: Micros | null, now: Micros, zone: Zone = serverZone): string {
  if (at === null) return ''
  return `${dated(at, now, zone)}${clock(at, zone)}${nbsp}${zoneShort(at, zone)}`
}

/** `14:42`, with the zone after it as {@link when} has it. */
export function whenMinute(at: Micros, now: Micros, zone: Zone = serverZone): string {
  return hourMinute(at, zone) + ownZone(at, now, zone)
}

function dated(at: Micros, now: Micros, zone: Zone): string {
  const [date, today] = [day(at, zone), day(now, zone)]
  if (date === today) return ''
  return (date.slice(0, 4) === today.slice(0, 4) ? date.slice(5) : date) + nbsp
}

/** The zone at a time, if its offset is not that of now. */
export function ownZone(at: Micros, now: Micros, zone: Zone = serverZone): string {
  const same = offsetName(at, zone) === offsetName(now, zone)
  return same ? '' : nbsp + zoneShort(at, zone)
}

/** The short name and offset of a zone at a time: `CET (UTC+1)`, `UTC`, or `UTC+8` without a name. */
export function zoneName(at: Micros, zone: Zone = serverZone): string {
  const offset = offsetName(at, zone)
  // No locale has the short names of all zones: one has those of Europe, the other those of America.
  const names = ['en-GB', 'en-US'].map((locale) => zonePart(at, zone, 'short', locale))
  const name = names.find((candidate) => !/^(GMT|UTC)/.test(candidate))
  return name === undefined ? offset : `${name} (${offset})`
}

/** `CET`, `UTC`, or `UTC+8` where the zone has no short name. */
export function zoneShort(at: Micros, zone: Zone = serverZone): string {
  return zoneName(at, zone).replace(/ \(.*/, '')
}

/** The zone with its name in the tz database: `Asia/Taipei, UTC+8`, `Europe/Berlin, CET (UTC+1)`. */
export function zoneFull(at: Micros, zone: Zone = serverZone): string {
  const name = zoneName(at, zone)
  return zone === name ? name : `${zone}, ${name}`
}

const offsetName = (at: Micros, zone: Zone): string =>
  zonePart(at, zone, 'shortOffset', 'en-US')
    .replace(/^GMT(\+0)?$/, 'UTC')
    .replace('GMT', 'UTC')
    .replace('-', minus)

const zoneParts = new Map<string, Intl.DateTimeFormat>()

function zonePart(
  at: Micros,
  timeZone: Zone,
  style: 'short' | 'shortOffset',
  locale: string,
): string {
  const key = `${locale} ${style} ${timeZone}`
  let formatter = zoneParts.get(key)
  if (!formatter) {
    formatter = new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: style })
    zoneParts.set(key, formatter)
  }
  const parts = formatter.formatToParts(Math.floor(toMs(at)))
  return parts.find(({ type }) => type === 'timeZoneName')?.value ?? timeZone
}

/*
 * Text from outside. Programs put anything into keys, names and messages, so every such text goes
 * through `cut`, which makes sure that there is something to see and to click.
 */

/** Leaves ink: not a space, a control, a mark without a letter, of no width, or in no font. */
const ink = /[^\p{Z}\p{C}\p{M}\p{Default_Ignorable_Code_Point}\u2800]/u

/** False for text that a reader may not see: blank, of zero width, or marks without a letter. */
export const isVisible = (text: string): boolean => ink.test(text)

/** More marks on one letter than any script uses would be drawn over the lines around it. */
const stacked = /(\p{M}{4})\p{M}+/gu

/** In place of a text of which nothing may be seen. */
const unseen = '(no visible text)'

/**
 * At most `max` whole characters, the last of them `…` when something was left out. Text without
 * anything to see becomes `(no visible text)`; an empty text stays empty.
 */
export function cut(text: string, max: number): string {
  if (text === '') return ''
  if (!isVisible(text)) return cutPlain(unseen, max)
  return cutPlain(text.replaceAll(stacked, '$1'), max)
}

function cutPlain(text: string, max: number): string {
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
