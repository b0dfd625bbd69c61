/**
 * The word of a list that somebody most likely meant.
 *
 * @returns undefined when none is within a third of its letters
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

/** Letters to add, drop, change or swap with their neighbor to get from one word to the other. */
export function distance(a: string, b: string): number {
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1
      row[j] = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + change)
      const swapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (swapped) row[j] = Math.min(row[j]!, before[j - 2]! + 1)
    }
    before = last
    last = row
  }
  return last[b.length]!
}
