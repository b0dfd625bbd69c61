import { randomUUID } from 'node:crypto'
import { replaceBareNumbers } from './bare-numbers.ts'
import { endOfText } from './end-of-text.ts'
import { AppError } from './errors.ts'
import { ExactNumber, hasLongNumber, toExact } from './exact-number.ts'

/** Stands in a parsed document where a number was too small to be a double other than zero. */
export const badNumber = Symbol('number out of range')

/**
 * Numbers with an exponent of three digits: rare, so worth a second look, which costs five times the
 * first. The text after them keeps UUIDs out (`1e-1234-`).
 */
const smallExponent = /\d[eE]-\d{3,}(?:[\s,\]}]|$)/
/** With e-99 such a number is over three hundred digits small. */
const manyZeros = `0.${'0'.repeat(200)}`

const mayUnderflow = (text: string) => smallExponent.test(text) || text.includes(manyZeros)

/**
 * Parses JSON without losing what it said: a number that underflows to zero becomes
 * {@link badNumber}, for {@link checkTree} to name; a whole number that no double holds exactly
 * becomes an {@link ExactNumber}; NaN and Infinity, which are no JSON, become numbers that
 * {@link checkTree} names.
 *
 * @param text no longer than an event may be: a hard one takes microseconds a value
 * @param offset where it begins in the body
 * @throws AppError unreadable, with the place where it stops being JSON
 */
export function parseJson(text: string, offset = 0): unknown {
  try {
    return parse(text, mayUnderflow(text) || hasLongNumber(text) ? markNumber : undefined)
  } catch (error) {
    const repaired = replaceBareNumbers(text)
    if (repaired !== undefined && isJson(repaired)) return parseJson(repaired, offset)
    throw new AppError('unreadable', `the body is not JSON${placeOf(error as Error, offset)}`)
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/**
 * True when no text in a document can hold NUL or half of a surrogate pair: a body is strict UTF-8, so
 * only an escape can bring them in.
 */
export const isPlain = (text: string): boolean => !text.includes('\\u')

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown

/**
 * JSON.parse for all that users may have named. Whole numbers that no double holds exactly become
 * {@link ExactNumber}. V8 takes a name that is written with a backslash for
 * another one that it saw before at the same place of an object: after `{"\\": 1}` it reads
 * `{"\n": 1}` as `{"\\": 1}` (nodejs/node#63785, open, V8 13.6 and later). Such names are rare; they
 * are parsed under stand-ins and put in afterwards.
 *
 * @throws SyntaxError as JSON.parse
 */
export const parseText = (text: string): unknown =>
  parse(text, hasLongNumber(text) ? markExact : undefined)

function parse(text: string, reviver: Reviver | undefined): unknown {
  const spans = text.includes('\\') ? escapedNames(text) : []
  if (spans.length === 0) return revive(text, reviver)
  try {
    return parseUnderStandIns(text, spans, reviver)
  } catch {
    // Not JSON, or nested deeper than is accepted: places are those of the text as it came.
    return revive(text, reviver)
  }
}

function revive(text: string, reviver: Reviver | undefined): unknown {
  try {
    return JSON.parse(text, reviver)
  } catch (error) {
    // A reviver cannot go deeper than the stack, and no event may.
    if (reviver && error instanceof RangeError) return JSON.parse(text)
    throw error
  }
}

type Span = [start: number, end: number]

function parseUnderStandIns(
  text: string,
  spans: readonly Span[],
  reviver: Reviver | undefined,
): unknown {
  const mark = randomUUID()
  const names = new Map<string, string>()
  const safe: string[] = []
  let from = 0
  for (const [start, end] of spans) {
    const standIn = `${mark} ${names.size}`
    names.set(standIn, JSON.parse(text.slice(start, end)) as string)
    safe.push(text.slice(from, start), `"${standIn}"`)
    from = end
  }
  return withNames(JSON.parse(safe.join('') + text.slice(from), reviver), names)
}

/** Where the names with a backslash are, quotation marks included. */
function escapedNames(text: string): Span[] {
  const spans: Span[] = []
  let next = text.indexOf('\\')
  for (let start = text.indexOf('"'); start !== -1 && next !== -1; ) {
    const end = endOfText(text, start) + 1
    if (next < end) {
      if (next > start && isName(text, end)) spans.push([start, end])
      next = text.indexOf('\\', end)
    }
    start = text.indexOf('"', end)
  }
  return spans
}

/** True when a colon follows. */
function isName(text: string, end: number): boolean {
  let next = end
  while (' \t\n\r'.includes(text.charAt(next)) && next < text.length) next++
  return text.charAt(next) === ':'
}

function withNames(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (value === null || typeof value !== 'object' || value instanceof ExactNumber) return value
  if (Array.isArray(value)) return value.map((item) => withNames(item, names))
  const named = {}
  for (const [name, item] of Object.entries(value)) {
    // Defined, not assigned: a field may be called __proto__.
    Object.defineProperty(named, names.get(name) ?? name, {
      value: withNames(item, names),
      enumerable: true,
      configurable: true,
      writable: true,
    })
  }
  return named
}

function markNumber(_name: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source
  if (typeof value !== 'number' || source === undefined) return value
  if (value !== 0) return toExact(value, source)
  const mantissa = source.split(/[eE]/)[0]!
  return /[1-9]/.test(mantissa) ? badNumber : value
}

function markExact(_name: string, value: unknown, context?: { source?: string }): unknown {
  const source = context?.source
  return typeof value === 'number' && source !== undefined ? toExact(value, source) : value
}

function placeOf({ message }: Error, offset: number): string {
  const position = /position (\d+)/.exec(message)?.[1]
  if (position !== undefined) return ` at character ${Number(position) + offset}`
  return /end of JSON/.test(message) ? ': it ends too early' : ''
}

type Found = { field: string; detail: string }

/**
 * Looks through a parsed document for what a database could not store.
 *
 * @returns the first such place, or undefined
 */
export function checkTree(value: unknown, maxDepth: number): Found | undefined {
  const found = walk(value, maxDepth)
  // A name may be as long as the event, and every bad item would bring it back.
  return found && { ...found, field: found.field.slice(0, 200).toWellFormed() }
}

/** Paths are put together on the way back, for there is one only when something was found. */
function walk(value: unknown, depth: number): Found | undefined {
  switch (typeof value) {
    case 'string':
      return checkText(value)
    case 'number':
      return Number.isFinite(value) ? undefined : outOfRange
    case 'symbol':
      return outOfRange
    case 'object':
      if (value === null || value instanceof ExactNumber) return undefined
      return walkObject(value, depth)
    default:
      return undefined
  }
}

function walkObject(value: object, depth: number): Found | undefined {
  if (depth === 0) return { field: '', detail: 'is nested too deeply; keep it to 32 levels' }
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const found = walk(value[i], depth - 1)
      if (found) return inside(String(i), found)
    }
    return undefined
  }
  for (const name of Object.keys(value)) {
    const bad = checkText(name)
    if (bad) return bad
    const found = walk((value as Record<string, unknown>)[name], depth - 1)
    if (found) return inside(name, found)
  }
  return undefined
}

const inside = (name: string, { field, detail }: Found): Found => ({
  field: field === '' ? name : `${name}.${field}`,
  detail,
})

function checkText(text: string): Found | undefined {
  if (text.includes('\0')) {
    return {
      field: '',
      detail: 'contains a NUL character (\\u0000), which cannot be stored; remove it',
    }
  }
  if (!text.isWellFormed()) {
    return {
      field: '',
      detail: 'contains half of a surrogate pair; send valid Unicode',
    }
  }
  return undefined
}

const outOfRange: Found = {
  field: '',
  detail:
    'is not a number, or outside the range of a double; send one that is finite, text, or leave it out',
}
