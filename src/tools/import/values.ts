import { readTime } from '../../core/event-time.ts'
import { fromMicros, type Micros } from '../../core/time.ts'
import { BadValue, type ImportContext, NoZone } from './format.ts'

/* How other systems write times, durations, sizes and counts. What cannot be read is a BadValue. */

/** By the number of digits of a time since 1970: microseconds of its unit, as a fraction. */
const units: Record<number, readonly [times: bigint, per: bigint]> = {
  10: [1_000_000n, 1n],
  13: [1000n, 1n],
  16: [1n, 1n],
  19: [1n, 1000n],
}

/**
 * Reads a time: every form that an event may have, and the seconds, milliseconds, microseconds or
 * nanoseconds since 1970, told apart by their digits.
 *
 * @throws NoZone when it has no zone and none is given
 */
export function readAt(name: string, text: string, { zone }: ImportContext): Micros {
  const number = /^(\d{10}|\d{13}|\d{16}|\d{19})(?:\.(\d{1,9}))?$/.exec(text)
  if (number) return readEpoch(number[1] as string, number[2])
  const read = readTime(text, zone)
  if (read !== undefined) return read
  if (zone === undefined && readTime(text, 'UTC') !== undefined) {
    throw new NoZone(`${name}: the time ${text} has no zone`)
  }
  throw new BadValue(`${name}: ${shorten(text)} is not a time from 1970 on`)
}

function readEpoch(digits: string, decimals = ''): Micros {
  const [times, per] = units[digits.length] as readonly [bigint, bigint]
  const fraction = (BigInt(decimals.padEnd(9, '0')) * times) / 1_000_000_000n
  return fromMicros((BigInt(digits) * times) / per + fraction)
}

/** The same, or undefined for a text that says that there is none. */
export const readAtOrNone = (
  name: string,
  text: string | undefined,
  context: ImportContext,
): Micros | undefined => (isNone(text) ? undefined : readAt(name, text, context))

const none: ReadonlySet<string> = new Set(['', '-', 'unknown', 'none', 'n/a', 'null', '(null)'])

/** True where other systems say that there is no value. */
export const isNone = (text: string | undefined): text is undefined =>
  text === undefined || none.has(text.trim().toLowerCase())

/** The text, or undefined where there is none. */
export const orNone = (text: string | undefined): string | undefined =>
  isNone(text) ? undefined : text

/** A finite number, or undefined where there is none. */
export function readNumber(name: string, text: string | undefined): number | undefined {
  if (isNone(text)) return undefined
  const number = Number(text)
  if (Number.isFinite(number)) return number
  throw new BadValue(`${name}: ${shorten(text)} is not a number`)
}

/** A whole number from `least` on, or undefined where there is none. */
export function readCount(name: string, text: string | undefined, least = 0): number | undefined {
  const number = readNumber(name, text)
  if (number === undefined || (Number.isSafeInteger(number) && number >= least)) return number
  throw new BadValue(`${name}: ${shorten(String(text))} is not a whole number from ${least}`)
}

const clock = /^(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+(?:\.\d+)?)$/

/** Seconds of `[days-][hours:]minutes:seconds`, or undefined where there is none. */
export function readClock(name: string, text: string | undefined): number | undefined {
  if (isNone(text)) return undefined
  const [, days = 0, hours = 0, minutes, seconds] = clock.exec(text) ?? []
  if (minutes === undefined) throw new BadValue(`${name}: ${shorten(text)} is not a duration`)
  return Number(days) * 86_400 + Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
}

/** Bytes by the letter of the unit, each 1024 times the one before. */
const sizes = 'BKMGTPE'

/** Mebibytes of a size such as `12.5 GB`, `1234K` or `2048` (bytes), or undefined where there is none. */
export function readMegabytes(name: string, text: string | undefined): number | undefined {
  if (isNone(text)) return undefined
  const [, number, unit = 'B'] = /^(\d+(?:\.\d+)?)\s*([BKMGTPE])?i?B?$/i.exec(text.trim()) ?? []
  if (number === undefined) throw new BadValue(`${name}: ${shorten(text)} is not a size`)
  return Number(number) * 1024 ** (sizes.indexOf(unit.toUpperCase()) - 2)
}

/** The entry of a table for a word of a file, which may also be `constructor`. */
export const lookUp = <T>(table: Readonly<Record<string, T>>, word: string): T | undefined =>
  Object.hasOwn(table, word) ? table[word] : undefined

/**
 * The same text, to be remembered: a part of a text keeps all of it in memory, which may be a quarter of a
 * megabyte of the file.
 */
export const copyText = (text: string): string => Buffer.from(text).toString()

/** A value as a message shows it. */
export const shorten = (text: string): string =>
  JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text)

/** The fields that have a value. */
export function filled(fields: Record<string, unknown>): Record<string, unknown> | undefined {
  const entries = Object.entries(fields).filter(([, value]) => value !== undefined && value !== '')
  return entries.length > 0 ? Object.fromEntries(entries) : undefined
}

/** The metrics that have a value. */
export const measured = (
  metrics: Record<string, number | undefined>,
): Record<string, number> | undefined => filled(metrics) as Record<string, number> | undefined
