import { ExactNumber } from './exact-number.ts'
import { knownMetadata } from './known-metadata.ts'

/*
 * Metadata that is too large is cut, so that a long error text never costs the end of a job. What is cut
 * follows from the metadata alone: each retry, and each copy that comes another way, is cut alike.
 *
 *   1. The largest texts are cut to one length, with a mark at the end.
 *   2. Where that is not enough, the largest fields become a mark.
 *   3. Where there are too many fields, the last are left out, those with an agreed name after all others.
 */

type Metadata = Record<string, unknown>

/** Maximum bytes of metadata as JSON. */
export const maxMetadataBytes = 32 * 1024
/** The mark of the whole: `"truncated":true,`. */
const room = 20
/** Shorter texts are not cut. */
const shortest = 100

const sizeOf = (value: unknown) => Buffer.byteLength(JSON.stringify(value))

/** The metadata so that it fits, with `truncated: true`; the same object where it fits as it is. */
export function cutMetadata(metadata: Metadata, maxBytes = maxMetadataBytes): Metadata {
  const bytes = sizeOf(metadata)
  if (bytes <= maxBytes) return metadata
  const most = maxBytes - room
  let cut = cutTexts(metadata, bytes - most)
  if (sizeOf(cut) > most) cut = replaceFields(cut, most)
  if (sizeOf(cut) > most) cut = dropFields(cut, most)
  define(cut, 'truncated', true)
  return cut
}

function cutTexts(metadata: Metadata, over: number): Metadata {
  const sizes: number[] = []
  mapTexts(metadata, (text) => {
    sizes.push(sizeOf(text))
    return text
  })
  const level = findLevel(sizes, over)
  return mapTexts(metadata, (text) =>
    sizeOf(text) > level ? cutText(text, level) : text,
  ) as Metadata
}

/** The bytes to which the largest texts are cut so that together they lose `over`. */
function findLevel(sizes: number[], over: number): number {
  const sorted = sizes.sort((a, b) => b - a)
  let sum = 0
  for (const [i, size] of sorted.entries()) {
    sum += size
    const level = Math.floor((sum - over) / (i + 1))
    if (level >= (sorted[i + 1] ?? 0)) return Math.max(level, shortest)
  }
  return shortest
}

/** A text of at most so many bytes as JSON, quotation marks and the mark included. */
function cutText(text: string, bytes: number): string {
  const mark = `… [cut from ${text.length} characters]`
  let left = bytes - sizeOf(mark)
  let end = 0
  for (const character of text) {
    left -= bytesOf(character)
    if (left < 0) break
    end += character.length
  }
  return text.slice(0, end) + mark
}

/** Of one character within a JSON text; never less than it takes. */
function bytesOf(character: string): number {
  const code = character.codePointAt(0) as number
  if (code < 0x20) return 6
  if (code < 0x80) return character === '"' || character === '\\' ? 2 : 1
  if (code < 0x800) return 2
  return code < 0x10000 ? 3 : 4
}

function replaceFields(metadata: Metadata, most: number): Metadata {
  const fields = Object.entries(metadata).map(([name, value]) => ({ name, bytes: sizeOf(value) }))
  let left = sizeOf(metadata)
  for (const { name, bytes } of fields.sort((a, b) => b.bytes - a.bytes)) {
    if (left <= most || bytes <= shortest) break
    const mark = `[cut: ${bytes} bytes]`
    define(metadata, name, mark)
    left += sizeOf(mark) - bytes
  }
  return metadata
}

function dropFields(metadata: Metadata, most: number): Metadata {
  const isKnown = (name: string) => Object.hasOwn(knownMetadata, name)
  const entries = Object.entries(metadata)
  const ordered = [
    ...entries.filter(([name]) => isKnown(name)),
    ...entries.filter(([name]) => !isKnown(name)),
  ]
  const kept: Metadata = {}
  let bytes = 2
  for (const [name, value] of ordered) {
    bytes += sizeOf(name) + sizeOf(value) + 2
    if (bytes > most) break
    define(kept, name, value)
  }
  return kept
}

/** A copy with every text changed; names, and what is no text, stay as they are. */
function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value)
  if (value === null || typeof value !== 'object' || value instanceof ExactNumber) return value
  if (Array.isArray(value)) return value.map((item) => mapTexts(item, change))
  const copy: Metadata = {}
  for (const [name, item] of Object.entries(value)) define(copy, name, mapTexts(item, change))
  return copy
}

/** Not assigned: a field may be called __proto__. */
function define(object: Metadata, name: string, value: unknown): void {
  Object.defineProperty(object, name, {
    value,
    enumerable: true,
    configurable: true,
    writable: true,
  })
}
