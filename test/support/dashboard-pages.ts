import assert from 'node:assert/strict'
import { pages } from '../../src/dashboard/pages/index.ts'

/** A value for each parameter in the path of a page. */
type Samples = { id: string }

/** Every page of the dashboard as an address to ask for: what holds for one page holds for all. */
export const pagePaths = (samples: Samples): string[] =>
  pages.map(({ path }) => fill(path, samples))

/** Fragments and files of the pages, such as `/jobs.csv`. */
export const partPaths = (samples: Samples): string[] =>
  pages.flatMap(({ parts }) => Object.keys(parts)).map((path) => fill(path, samples))

/** `jobs-id` for `/jobs/:id`: the name of a picture. */
export const pageNames: readonly string[] = pages.map(
  ({ path }) => path.replaceAll(/[/:]+/g, '-').replace(/^-/, '') || 'overview',
)

function fill(path: string, samples: Samples): string {
  return path.replaceAll(/:(\w+)/g, (_, name: string) => {
    const value = (samples as Record<string, string>)[name]
    assert.ok(value, `${path} needs a sample of ${name}: add it to Samples`)
    return value
  })
}
