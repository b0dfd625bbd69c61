import { ExactNumber } from './exact-number.ts'

/** Maximum code points of a fact that count: the store's indexes have a limit. */
const maxLength = 200

/**
 * What a program put into metadata under an agreed name, such as the tool or the recipe: a word or a
 * number as text; undefined for anything else. The migrations have the same rules (fact_text).
 */
export function readFact(value: unknown): string | undefined {
  if (typeof value === 'number' || value instanceof ExactNumber) return String(value)
  if (typeof value !== 'string' || value === '') return undefined
  return value.length <= maxLength ? value : [...value].slice(0, maxLength).join('')
}
