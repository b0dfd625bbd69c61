import { dirname, join } from 'node:path'
import { importsOf, type SourceFile } from './import-rules.ts'

/**
 * Files that import each other in a circle, types included: none of them can be read, moved or
 * replaced without the others.
 *
 * @returns each circle as the paths of its files, sorted
 */
export function importCycles(files: readonly SourceFile[]): string[][] {
  const graph = new Map(files.map(({ path, text }) => [path, targetsOf(path, text)]))
  const reached = new Map([...graph.keys()].map((path) => [path, reachableFrom(path, graph)]))
  const circles = new Map<string, string[]>()
  for (const [path, others] of reached) {
    if (!others.has(path)) continue
    const circle = [...others].filter((other) => reached.get(other)?.has(path)).sort()
    circles.set(circle.join(' '), circle)
  }
  return [...circles.values()]
}

const targetsOf = (path: string, text: string): string[] =>
  importsOf(text)
    .filter(({ target }) => target.startsWith('.'))
    .map(({ target }) => join(dirname(path), target))

/** Files that a file leads to by one import or more. */
function reachableFrom(path: string, graph: ReadonlyMap<string, string[]>): Set<string> {
  const seen = new Set<string>()
  const open = [...(graph.get(path) ?? [])]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    if (seen.has(next)) continue
    seen.add(next)
    open.push(...(graph.get(next) ?? []))
  }
  return seen
}
