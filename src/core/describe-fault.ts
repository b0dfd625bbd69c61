import { ExactNumber } from './exact-number.ts'
import { badNumber } from './json.ts'

/*
 * How a refusal names what is wrong with an event: the field, the value found instead, and the key.
 */

/** Why an event was not taken: the field, the fault, and what would be right. */
export type Refusal = { field: string; detail: string }

/** `event.metrics.cd_mean_nm`, `0` for the first item of a list; empty for the whole. */
export const pathToText = (path: readonly PropertyKey[]): string =>
  path.map(String).join('.').slice(0, 200)

/** The value found at a path instead, short enough to show. */
export function describeAt(input: unknown, path: readonly PropertyKey[]): string {
  let value = input
  for (const part of path) {
    if (value === null || typeof value !== 'object' || !Object.hasOwn(value, part))
      return 'it is missing'
    value = (value as Record<PropertyKey, unknown>)[part]
  }
  return describeValue(value)
}

const why = ', which no double holds exactly; round it, or send it as text in metadata'

/** The value found instead, short enough to show. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'it is missing'
  if (value === null) return 'got null'
  if (value === badNumber) return 'got a number that is too small for a double'
  if (value instanceof ExactNumber) return `got the number ${value.text.slice(0, 40)}${why}`
  if (Array.isArray(value)) return 'got a list'
  if (typeof value === 'object') return 'got an object'
  if (typeof value !== 'string') return `got the ${typeof value} ${value}`
  return `got ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`
}

/** The key of what may be no event at all. */
export function readKey(input: unknown): string | null {
  const key = (input as { idempotency_key?: unknown } | null)?.idempotency_key
  return typeof key === 'string' && key.length <= 128
    ? key.toWellFormed().replaceAll('\0', '')
    : null
}
