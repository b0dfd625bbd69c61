import { AppError } from './errors.ts'

/** Stands in a parsed document where a number was too small to be a double other than zero. */
export const badNumber = Symbol('number out of range')

/**
 * Numbers with an exponent of three digits, or two hundred zeros behind the point (with e-99 they
 * are over three hundred): rare, so worth a second look, which costs five times the first. What
 * comes before it keeps UUIDs out (`1e-123`).
 */
const suspicious = /(?:^|[:,[\s])-?(?:\d+(?:\.\d+)?[eE]-\d{3}|0\.0{200})/

/** Text up to this length cannot nest deep enough to hurt. */
const harmlessLength = 256 * 1024
const maxParsedDepth = 1000

/**
 * Parses JSON without losing what it said: a number that underflows to zero becomes
 * {@link badNumber}, for {@link checkTree} to name.
 *
 * @throws AppError unreadable, with the place where it stops being JSON
 */
export function parseJson(text: string): unknown {
  if (text.length > harmlessLength) refuseDeep(text)
  try {
    return suspicious.test(text) ? JSON.parse(text, markUnderflow) : JSON.parse(text)
  } catch (error) {
    throw new AppError('unreadable', `the body is not JSON${placeOf(error as Error)}`)
  }
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
  const found = walk(value, '', maxDepth)
  // A name may be as long as the event, and every bad item would bring it back.
  return found && { ...found, field: found.field.slice(0, 200).toWellFormed() }
}

function walk(value: unknown, path: string, depth: number): Found | undefined {
  switch (typeof value) {
    case 'string':
      return checkText(value, path)
    case 'number':
      return Number.isFinite(value) ? undefined : outOfRange(path)
    case 'symbol':
      return outOfRange(path)
    case 'object':
      return value === null ? undefined : walkObject(value, path, depth)
    default:
      return undefined
  }
}

function walkObject(value: object, path: string, depth: number): Found | undefined {
  if (depth === 0) return { field: path, detail: 'is nested too deeply; keep it to 32 levels' }
  if (Array.isArray(value)) {
    for (let i = 0; i < value.length; i++) {
      const found = walk(value[i], join(path, String(i)), depth - 1)
      if (found) return found
    }
    return undefined
  }
  for (const name of Object.keys(value)) {
    const found =
      checkText(name, path) ??
      walk((value as Record<string, unknown>)[name], join(path, name), depth - 1)
    if (found) return found
  }
  return undefined
}

const join = (path: string, name: string) => (path === '' ? name : `${path}.${name}`)

function checkText(text: string, path: string): Found | undefined {
  if (text.includes('\0')) {
    return {
      field: path,
      detail: 'holds a NUL character (\\u0000), which cannot be stored; leave it out',
    }
  }
  if (!text.isWellFormed()) {
    return {
      field: path,
      detail: 'holds half of a surrogate pair, which is no text; send valid Unicode',
    }
  }
  return undefined
}

const outOfRange = (path: string): Found => ({
  field: path,
  detail: 'is a number outside the range of a double; send a smaller one, or text',
})
