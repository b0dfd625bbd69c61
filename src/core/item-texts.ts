import { endOfText } from './end-of-text.ts'
import { AppError } from './errors.ts'

/*
 * Batches are cut into the texts of their items before anything is parsed. So each item is parsed by
 * itself, others get their turn in between, what is too large is never parsed, and an event that is
 * forwarded keeps its own text.
 *
 * A cut is right for every JSON: only brackets outside of texts count. What is not JSON may be cut
 * anywhere; then one of its items does not parse.
 */

/** Where an item begins, and where it ends. */
export type Cut = { readonly start: number; readonly end: number }

/**
 * The items of a JSON array.
 *
 * @throws AppError unreadable, with the place where it is not an array; too_large, over `maxItems`
 */
export function cutArray(text: string, maxItems: number): Cut[] {
  const cuts: Cut[] = []
  const walk = walkArray(text, skipSpace(text, 0))
  let next = walk.next()
  for (; !next.done; next = walk.next()) {
    if (cuts.push(next.value) > maxItems) throw tooMany(maxItems)
  }
  const end = skipSpace(text, next.value)
  if (end < text.length) throw notArray(text, end)
  return cuts
}

/**
 * The items of the JSON array that begins at `start`, found as they are asked for. @returns where it ends
 *
 * @throws AppError unreadable, with the place where it is not an array
 */
export function* walkArray(text: string, start: number): Generator<Cut, number> {
  let at = skipSpace(text, start + 1)
  if (text[at] === ']') return at + 1
  for (;;) {
    const end = endOfValue(text, at)
    if (end === at) throw notArray(text, at)
    yield { start: at, end }
    const after = skipSpace(text, end)
    if (text[after] === ']') return after + 1
    if (text[after] !== ',') throw notArray(text, after)
    at = skipSpace(text, after + 1)
  }
}

/** Where the array of that name begins in a JSON object; undefined where it has none, or is none. */
export function findArray(text: string, name: string): number | undefined {
  let at = skipSpace(text, 0)
  if (text[at] !== '{') return undefined
  do {
    at = skipSpace(text, at + 1)
    if (text[at] !== '"') return undefined
    const close = endOfText(text, at)
    const isIt = text.slice(at + 1, close) === name
    const colon = skipSpace(text, close + 1)
    if (text[colon] !== ':') return undefined
    at = skipSpace(text, colon + 1)
    if (isIt) return text[at] === '[' ? at : undefined
    at = skipSpace(text, endOfValue(text, at))
  } while (text[at] === ',')
  return undefined
}

/**
 * The lines that are not empty; or the records, each after a record separator (RFC 7464), in which a
 * line may end.
 *
 * @throws AppError too_large, over `maxItems`: a few kilobytes of gzip hold millions
 */
export function cutLines(text: string, maxItems: number): Cut[] {
  const cuts: Cut[] = []
  const separator = text[skipSpace(text, 0)] === recordSeparator ? recordSeparator : '\n'
  for (let at = skipEmpty(text, 0); at < text.length; at = skipEmpty(text, at)) {
    const next = text.indexOf(separator, at)
    let end = next === -1 ? text.length : next
    const following = end + 1
    while (isSpace(text.charCodeAt(end - 1))) end--
    if (cuts.push({ start: at, end }) > maxItems) throw tooMany(maxItems)
    at = following
  }
  return cuts
}

/**
 * The one object that the text may be, over all its lines; undefined when it is more, or something
 * else. Brackets alone do not prove it: lines that were cut off may close one another's.
 */
export function cutObject(text: string): Cut[] | undefined {
  const start = skipSpace(text, 0)
  if (text[start] !== '{') return undefined
  const end = endOfValue(text, start)
  const isWhole = text[end - 1] === '}' && skipSpace(text, end) === text.length
  return isWhole ? [{ start, end }] : undefined
}

/** Begins each record of `application/json-seq`; no JSON has it anywhere. */
const recordSeparator = '\x1e'

/** Past empty lines and records. */
function skipEmpty(text: string, from: number): number {
  let at = from
  while (at < text.length && (text[at] === recordSeparator || isSpace(text.charCodeAt(at)))) at++
  return at
}

/** Where the value that begins at `start` ends. */
function endOfValue(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === quote) {
      at = endOfText(text, at)
      if (depth === 0) return Math.min(at + 1, text.length)
    } else if (code === openObject || code === openList) depth++
    else if (code === closeObject || code === closeList) {
      if (depth === 0) return at
      if (--depth === 0) return at + 1
    } else if (depth === 0 && (code === comma || isSpace(code))) return at
  }
  return text.length
}

/** Levels that JSON.parse takes without care; an event has 32. */
const maxDepth = 1000

/**
 * Finds what is not worth parsing: no event that would pass is written in so many bytes, or so deep.
 * White space does not count, and a character counts once however it is written; numbers and names
 * count as they are written, so `maxBytes` should leave room for zeros at their ends. A long text, which
 * costs little to parse, counts less: it may be metadata, which is cut, and the end of a job.
 *
 * @returns the fault of the item, or undefined
 */
export function findHuge(text: string, { start, end }: Cut, maxBytes: number): Fault | undefined {
  if (end - start <= maxBytes) return undefined
  let [bytes, depth] = [0, 0]
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at)
    if (isSpace(code)) continue
    bytes++
    if (code === quote) {
      const close = Math.min(endOfText(text, at), end)
      bytes += weighText(text, { start: at + 1, end: close }, maxBytes)
      at = close
    } else if (code === openObject || code === openList) depth++
    else if (code === closeObject || code === closeList) depth--
    if (depth > maxDepth) return 'deep'
    if (bytes > maxBytes) return 'large'
  }
  return undefined
}

export type Fault = 'deep' | 'large'

/** Of a text, what counts in full; the rest counts an eighth. */
const fullText = 32 * 1024

/** What a text counts, at most `most` and one. */
function weighText(text: string, cut: Cut, most: number): number {
  const written = cut.end - cut.start
  const long = fullText + (written - fullText) / 8
  return written <= fullText
    ? countText(text, cut, most)
    : Math.min(countText(text, cut, most), long)
}

/** Characters of a text, those written as `\n` or `\u000a` once; more than `most` are not counted on. */
function countText(text: string, { start, end }: Cut, most: number): number {
  let count = 0
  for (let at = start; at < end && count <= most; at++) {
    if (text.charCodeAt(at) === backslash) at += text[at + 1] === 'u' ? 5 : 1
    count++
  }
  return count
}

function skipSpace(text: string, from: number): number {
  let at = from
  while (at < text.length && isSpace(text.charCodeAt(at))) at++
  return at
}

const isSpace = (code: number) => code === 0x20 || code === 0x0a || code === 0x0d || code === 0x09

const [quote, backslash, comma] = [0x22, 0x5c, 0x2c]
const [openList, closeList, openObject, closeObject] = [0x5b, 0x5d, 0x7b, 0x7d]

const notArray = (text: string, at: number) =>
  new AppError(
    'unreadable',
    `the body is not JSON${at < text.length ? ` at character ${at}` : ': it ends too early'}`,
  )

const tooMany = (maxItems: number) =>
  new AppError('too_large', `over ${maxItems} events in one request; send at most that many`)
