/**
 * Times inside wafermon are text: RFC 3339 in UTC with exactly six decimals,
 * `2026-03-01T12:00:00.123456Z`. A JavaScript Date would drop the microseconds, and then a cursor
 * skips rows and the fold changes its order. Of this one form text order is time order, so times
 * compare with `<`.
 */
export type Micros = string

/**
 * Years 1970 to 9999; seconds to 59; at most nine decimals are read, six are kept (cut, not
 * rounded).
 */
const rfc3339 =
  /^(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?([Zz]|[+-]\d\d:\d\d)$/

/**
 * Reads an RFC 3339 time with an offset.
 *
 * @returns the canonical form, or undefined when the text is not such a time, has no offset, names
 * a day that does not exist, or lies outside 1970 to 9999 in UTC.
 */
export function parseTime(text: string): Micros | undefined {
  if (text >= '1970' && isCanonical(text)) return text
  const match = rfc3339.exec(text)
  if (!match) return undefined
  const [, year, month, day, hour, minute, second, fraction = '', offset] = match
  const ms = Date.UTC(+year!, +month! - 1, +day!, +hour!, +minute!, +second!)
  const date = new Date(ms)
  // Date.UTC rolls 31 February over into March; a rolled date is not the one that was written.
  if (date.getUTCDate() !== +day! || date.getUTCMonth() !== +month! - 1) return undefined
  if (+hour! > 23 || +minute! > 59 || +second! > 59 || +year! < 1970) return undefined
  const shift = offsetMs(offset!)
  if (shift === undefined) return undefined
  return fromParts(ms - shift, fraction.padEnd(6, '0').slice(0, 6))
}

/** 0 stands for any digit. */
const form = '0000-00-00T00:00:00.000000Z'
const daysOf = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]

/**
 * True for the canonical form of a time that exists, which our own clients and every later
 * hop send: found without a regular expression, a Date or a new string. Unlike what is sent to us
 * it may lie before 1970: a job that took thirty years and ended then began there.
 */
export function isCanonical(text: string): boolean {
  if (text.length !== form.length) return false
  for (let i = 0; i < form.length; i++) {
    const code = text.charCodeAt(i)
    const wanted = form.charCodeAt(i)
    if (wanted === 48 ? code < 48 || code > 57 : code !== wanted) return false
  }
  const [year, month, day] = [+text.slice(0, 4), twoDigits(text, 5), twoDigits(text, 8)]
  const leap = month === 2 && year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0)
  return (
    day >= 1 &&
    day <= (daysOf[month - 1] ?? 0) + (leap ? 1 : 0) &&
    twoDigits(text, 11) <= 23 &&
    twoDigits(text, 14) <= 59 &&
    twoDigits(text, 17) <= 59
  )
}

const twoDigits = (text: string, at: number) =>
  (text.charCodeAt(at) - 48) * 10 + text.charCodeAt(at + 1) - 48

function offsetMs(offset: string): number | undefined {
  if (offset === 'Z' || offset === 'z') return 0
  const hours = +offset.slice(1, 3)
  const minutes = +offset.slice(4, 6)
  if (hours > 23 || minutes > 59) return undefined
  return (offset[0] === '-' ? -1 : 1) * (hours * 60 + minutes) * 60_000
}

function fromParts(wholeSecondMs: number, sixDigits: string): Micros | undefined {
  if (wholeSecondMs < 0 || wholeSecondMs > 253_402_300_799_000) return undefined
  return `${new Date(wholeSecondMs).toISOString().slice(0, 19)}.${sixDigits}Z`
}

let second = Number.NaN
let secondText = ''

/** `2026-03-01T12:00:00.`: most times that are made follow each other within a second. */
function textOfSecond(ms: number): string {
  const wanted = Math.floor(ms / 1000)
  if (wanted !== second) {
    secondText = new Date(wanted * 1000).toISOString().slice(0, 20)
    second = wanted
  }
  return secondText
}

/** The canonical form of a time in milliseconds since 1970 (fractions become microseconds). */
export function fromMs(ms: number): Micros {
  const us = Math.round((ms - Math.floor(ms)) * 1000)
  const carried = us === 1000 ? Math.floor(ms) + 1 : Math.floor(ms)
  const belowSecond = (carried - Math.floor(carried / 1000) * 1000) * 1000 + (us % 1000)
  return `${textOfSecond(carried)}${String(1_000_000 + belowSecond).slice(1)}Z`
}

/** Whole milliseconds since 1970 of a canonical time. */
function wholeMs(time: Micros): number {
  const [century, year] = [twoDigits(time, 0), twoDigits(time, 2)]
  // Date.UTC takes the year 70 for 1970.
  if (century === 0) return Date.parse(`${time.slice(0, 23)}Z`)
  return Date.UTC(
    century * 100 + year,
    twoDigits(time, 5) - 1,
    twoDigits(time, 8),
    twoDigits(time, 11),
    twoDigits(time, 14),
    twoDigits(time, 17),
    threeDigits(time, 20),
  )
}

const threeDigits = (text: string, at: number) =>
  twoDigits(text, at) * 10 + text.charCodeAt(at + 2) - 48

/** Milliseconds since 1970 of a canonical time, with the microseconds as a fraction. */
export function toMs(time: Micros): number {
  return wholeMs(time) + threeDigits(time, 23) / 1000
}

/** Microseconds since 1970, exact: 9999 is 2.5e17, over what a double holds, hence bigint. */
export function toMicros(time: Micros): bigint {
  return BigInt(wholeMs(time)) * 1000n + BigInt(threeDigits(time, 23))
}

/** The same as a number: exact, and a safe integer, until 2255. */
export function toMicrosNumber(time: Micros): number {
  return wholeMs(time) * 1000 + threeDigits(time, 23)
}

/** The inverse of {@link toMicros}. */
export function fromMicros(us: bigint): Micros {
  const rest = ((us % 1000n) + 1000n) % 1000n
  const ms = (us - rest) / 1000n
  return `${new Date(Number(ms)).toISOString().slice(0, 23)}${String(rest).padStart(3, '0')}Z`
}

/** Seconds from `from` to `to`, exact to the microsecond. */
export function secondsBetween(from: Micros, to: Micros): number {
  return Number(toMicros(to) - toMicros(from)) / 1e6
}
