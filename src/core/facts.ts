import { ExactNumber } from './exact-number.ts'

/**
 * What programs put into metadata under agreed names, and lists filter by: the one list of them. Each
 * word is the name in metadata, of the parameter of the API and of pages, and of the column and its
 * index (sql/migrations). A new one is a line here and a migration.
 */
export const facts = {
  tool: { label: 'Tool', about: 'the tool' },
  chamber: { label: 'Chamber', about: 'the chamber of the tool' },
  recipe: { label: 'Recipe', about: 'the recipe' },
  host: { label: 'Host', about: 'the host that ran it' },
  error_type: { label: 'Error type', about: 'the type of the error that ended it' },
  exit_code: { label: 'Exit code', about: 'the exit code of its process' },
  queue: { label: 'Queue', about: 'the queue in which it waited' },
  priority: { label: 'Priority', about: 'the priority' },
} as const

export type FactName = keyof typeof facts
export const factNames = Object.keys(facts) as FactName[]

/** Facts that a search looks through; of the others every number would find too many. */
export const searchedFacts = factNames.filter((name) => name !== 'exit_code' && name !== 'priority')

/** Facts that a list is limited to, each compared as a whole. An absent one does not filter. */
export type Facts = { [N in FactName]?: string | undefined }

/** Maximum code points of a fact that count: the store's indexes have a limit. */
export const maxFact = 200

/** A fact of metadata: a word or a number as text; undefined for anything else. As fact_text in SQL. */
export function readFact(value: unknown): string | undefined {
  if (typeof value === 'number' || value instanceof ExactNumber) return String(value)
  if (typeof value !== 'string' || value === '') return undefined
  return value.length <= maxFact ? value : [...value].slice(0, maxFact).join('')
}
