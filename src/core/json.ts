import { AppError } from './errors.ts'

/** Stands in a parsed document where a number was too small to be a double other than zero. */
export const badNumber = Symbol('number out of range')

/**
 * Numbers with an exponent of three digits, or three hundred zeros behind the point: rare, so worth a
 * second look, which costs five times the first. What comes before it keeps UUIDs out (`1e-123`).
 */
const suspicious = /(?:^|[:,[\s])-?(?:\d+(?:\.\d+)?[eE]-\d{3}|0\.0{300})/

/**
 * Parses JSON without losing what it said: a number that underflows to zero becomes
 * {@link badNumber}, for {@link checkTree} to name.
 *
 * @throws AppError unreadable, with the place where it stops being JSON
 */
export function parseJson(text: string): unknown {
  try {
    return suspicious.test(text) ? JSON.parse(text, markUnderflow) : JSON.parse(text)
  } catch (error) {
    throw new AppError('unreadable', `the body is not JSON${placeOf(error as Error)}`)
  }
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
  return walk(value, '', maxDepth)
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
