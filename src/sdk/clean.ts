import type { Json } from './event.ts'

/** Deepest nesting of metadata that is kept; the wire allows 32 for the whole event. */
const maxDepth = 16
/** Room for metadata in bytes of JSON; the wire allows 32 KiB. */
export const metadataBytes = 32_000

/** Called for every value that had to be changed to fit an event. */
export type Note = () => void

/**
 * Any value as text that a database can hold: at most `max` UTF-16 units, no NUL, no half of a
 * surrogate pair. Never throws, whatever `toString` does.
 */
export function cleanText(value: unknown, max: number, note: Note): string {
  const clean = cut(asText(value), max).toWellFormed().replaceAll('\0', '\uFFFD')
  if (clean !== value) note()
  return clean
}

function asText(value: unknown): string {
  try {
    return String(value)
  } catch {
    return '[unprintable]'
  }
}

/** A cut must not leave half of a surrogate pair. */
function cut(text: string, max: number): string {
  if (text.length <= max) return text
  const last = text.charCodeAt(max - 1)
  return text.slice(0, last >= 0xd800 && last <= 0xdbff ? max - 1 : max)
}

/** A copy of metadata that fits an event; undefined when there is nothing in it. Never throws. */
export function cleanMetadata(
  value: unknown,
  note: Note,
  room: number = metadataBytes,
): Record<string, Json> | undefined {
  if (value == null) return undefined
  const copy = copier(room, note)(value, 0)
  if (copy == null) return undefined
  // A value that is not an object gets a name.
  const named = typeof copy === 'object' && !Array.isArray(copy) ? copy : { value: copy }
  return Object.keys(named).length > 0 ? named : undefined
}

type Copy = (value: unknown, depth: number) => Json | undefined

/*
 * Functions in functions rather than classes: half the size once minified.
 */

/** Room for a number of bytes, and the plain values that are put into it. */
function budget(room: number, note: Note) {
  let left = room

  /** The value if there is room for this many bytes. */
  const spend = <T>(bytes: number, value: T): T | undefined => {
    if (bytes > left) return note() as undefined
    left -= bytes
    return value
  }

  const text = (value: unknown): string | undefined => {
    const room = Math.max(0, left - 2)
    let kept = cleanText(value, room, note)
    // Escapes and characters of several bytes: cut again until it fits.
    while (jsonBytes(kept) > left && kept) {
      kept = cut(kept, Math.floor((kept.length * room) / jsonBytes(kept)))
      note()
    }
    return spend(jsonBytes(kept), kept)
  }

  const number = (value: number): number | null | undefined => {
    if (Number.isFinite(value)) return spend(String(value).length, value)
    note()
    return spend(4, null)
  }

  const instead = (what: string): Json | undefined => {
    note()
    return text(`[${what}]`)
  }

  return [spend, text, number, instead] as const
}

/**
 * A function that copies values within a budget of bytes: what no longer fits is left out
 * (undefined), so that the cost is bounded by the budget and not by what the program hands over.
 */
function copier(room: number, note: Note): Copy {
  const [spend, text, number, instead] = budget(room, note)
  const path: unknown[] = []

  const copy: Copy = (value, depth) => {
    if (typeof value === 'string' || typeof value === 'bigint') return text(value)
    if (typeof value === 'number') return number(value)
    if (typeof value === 'boolean') return spend(5, value)
    if (value === null) return spend(4, null)
    if (typeof value === 'object') return object(value, depth)
    // Left: undefined, and functions and symbols, which JSON does not know.
    return (value && note()) as undefined
  }

  const object = (value: object, depth: number): Json | undefined => {
    if (path.includes(value)) return instead('circular')
    if (depth >= maxDepth) return instead('too deep')
    path.push(value)
    try {
      return members(value, depth + 1)
    } catch {
      // A getter, a proxy or a toJSON of the program threw.
      return instead('unreadable')
    } finally {
      path.pop()
    }
  }

  const members = (value: object, depth: number): Json | undefined => {
    if (value instanceof Error) return fill({ name: value.name, message: value.message }, depth)
    if (ArrayBuffer.isView(value)) return instead(`${value.byteLength} bytes`)
    const { toJSON } = value as { toJSON?: unknown }
    return typeof toJSON === 'function' && !Array.isArray(value)
      ? copy(toJSON.call(value), depth)
      : fill(value, depth)
  }

  const fill = filler(spend, note, copy)
  return copy
}

type Spend = ReturnType<typeof budget>[0]

/** A function that copies a list or an object member by member, while there is room. */
function filler(spend: Spend, note: Note, copy: Copy) {
  return (value: object, depth: number): Json | undefined => {
    if (Array.isArray(value)) {
      const out = spend(2, [] as Json[])
      for (const item of out ? value : []) {
        // The comma, and a null where something is left out.
        if (!spend(5, true)) break
        out?.push(copy(item, depth) ?? null)
      }
      return out
    }
    // Without a prototype: a key `__proto__` is a key like any other.
    const out = spend(2, Object.create(null) as Record<string, Json>)
    for (const name of out ? Object.keys(value) : []) {
      const key = cleanText(name, 256, note)
      if (!spend(jsonBytes(key) + 2, true)) break
      // One getter that throws costs one member, not the rest.
      try {
        const member = copy((value as Record<string, unknown>)[name], depth)
        if (out && member !== undefined) out[key] = member
      } catch {
        note()
      }
    }
    return out
  }
}

function jsonBytes(text: string): number {
  return Buffer.byteLength(JSON.stringify(text))
}
