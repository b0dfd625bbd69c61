import { must } from './must.ts'

/**
 * The known word that is closest to a misspelled one.
 *
 * @returns undefined when no word is within a third of its letters
 */
export function closestSpelling(word: string, known: readonly string[]): string | undefined {
  const lower = word.slice(0, 64).toLowerCase()
  let best: { name: string; far: number } | undefined
  for (const name of known) {
    const far = distance(lower, name.toLowerCase())
    if (far < (best?.far ?? 1 + Math.max(1, Math.floor(name.length / 3)))) best = { name, far }
  }
  return best?.name
}

/** Why a parameter is refused that is none of the known ones, with the nearest of them. */
export function describeUnknown(name: string, known: readonly string[]): string {
  if (known.length === 0) return 'unknown parameter; this path takes none'
  const meant = closestSpelling(name, known)
  return `unknown parameter; ${meant ? `did you mean ${meant}?` : `this path takes ${known.join(', ')}`}`
}

/** Edit distance: letters to add, drop, change or swap with their neighbor. */
export function distance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      row[j] = Math.min(at(last, j) + 1, at(row, j - 1) + 1, at(last, j - 1) + change)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) row[j] = Math.min(at(row, j), at(before, j - 2) + 1)
    }
    before = last
    last = row
  }
  return at(last, b.length)
}

const at = (row: readonly number[], j: number) =>
  must(row[j], 'every row has a distance for each letter')
