import { randomUUID } from 'node:crypto'
import { AppError } from './errors.ts'

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

/** Text up to this length cannot nest deep enough to hurt. */
const harmlessLength = 256 * 1024
const maxParsedDepth = 1000
/** Names with a backslash in one body: each costs microseconds and some
 * hundred bytes, and no event has room for a tenth of them. */
const maxEscapedNames = 100_000

/**
 * Parses JSON without losing what it said: a number that underflows to zero becomes
 * {@link badNumber}, for {@link checkTree} to name.
 *
 * @throws AppError unreadable, with the place where it stops being JSON; too_large, when fewer events
 * would do
 */
export function parseJson(text: string): unknown {
  if (text.length > harmlessLength) refuseDeep(text)
  try {
    return parse(text, mayUnderflow(text) ? markUnderflow : undefined, maxEscapedNames)
  } catch (error) {
    if (error instanceof AppError) throw error
    throw new AppError('unreadable', `the body is not JSON${placeOf(error as Error)}`)
  }
}

/**
 * True when no text in a document can hold NUL or half of a surrogate pair: a body is strict UTF-8, so
 * only an escape can bring them in.
 */
export const isPlain = (text: string): boolean => !text.includes('\\u')

type Reviver = (key: string, value: unknown, context?: { source?: string }) => unknown

/**
 * JSON.parse for all that users may have named. V8 takes a name that is written with a backslash for
 * another one that it saw before at the same place of an object: after `{"\\": 1}` it reads
 * `{"\n": 1}` as `{"\\": 1}` (nodejs/node#63785, open, V8 13.6 and later). Such names are rare; they
 * are parsed under stand-ins and put in afterwards.
 *
 * @throws SyntaxError as JSON.parse
 */
export const parseText = (text: string): unknown => parse(text, undefined, Infinity)

function parse(text: string, reviver: Reviver | undefined, mostNames: number): unknown {
  const spans = text.includes('\\') ? escapedNames(text, mostNames) : []
  if (spans.length === 0) return JSON.parse(text, reviver)
  try {
    return parseUnderStandIns(text, spans, reviver)
  } catch {
    // Not JSON, or nested deeper than is accepted: places are those of the text as it came.
    return JSON.parse(text, reviver)
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
function escapedNames(text: string, most: number): Span[] {
  const spans: Span[] = []
  let next = text.indexOf('\\')
  for (let start = text.indexOf('"'); start !== -1 && next !== -1; ) {
    const end = endOfText(text, start) + 1
    if (next < end) {
      if (next > start && isName(text, end)) spans.push([start, end])
      if (spans.length > most) {
        throw new AppError(
          'too_large',
          `the body has over ${most} names with a backslash; send fewer events per request`,
        )
      }
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
  if (value === null || typeof value !== 'object') return value
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

/** The parser keeps a note of some fifty bytes for each open bracket: 32 MiB of them are 1.5 GB. */
function refuseDeep(text: string): void {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === quote) i = endOfText(text, i)
    else if (code === openList || code === openObject) depth++
    else if (code === closeList || code === closeObject) depth--
    if (depth > maxParsedDepth) {
      throw new AppError('unreadable', `the body is nested over ${maxParsedDepth} levels deep`)
    }
  }
}

const [quote, backslash] = [0x22, 0x5c]
const [openList, closeList, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d]

/** Where the text that begins at `start` ends: at the next quotation mark that is not escaped. */
function endOfText(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let before = end - 1
    while (text.charCodeAt(before) === backslash) before--
    if ((end - before) % 2 === 1) return end
  }
  return text.length
}

function markUnderflow(_key: string, value: unknown, context?: { source?: string }): unknown {
  if (value !== 0 || context?.source === undefined) return value
  const mantissa = context.source.split(/[eE]/)[0]!
  return /[1-9]/.test(mantissa) ? badNumber : value
}

function placeOf({ message }: Error): string {
  const position = /position (\d+)/.exec(message)?.[1]
  if (position !== undefined) return ` at character ${position}`
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
      return value === null ? undefined : walkObject(value, depth)
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
  detail: 'is a number outside the range of a double; send a smaller one, or text',
}
