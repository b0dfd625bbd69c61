/** A mistake that a developer could make, and the test that must notice it. */
export type Bug = {
  /** The behavior of the code once it is planted. */
  name: string
  /** The cost of that. */
  why: string
  file: string
  /** Text of the file, there exactly once. White space is white space, whatever it is. */
  find: string
  replace: string
  /** The file of the test, and its name after those of its suites: `suite > test`. */
  test: [file: string, name: string]
  /** The test runs the built program. */
  built?: boolean
  /** Part of what the failure says, where the code itself gives up and no assertion is reached. */
  says?: string
}

/**
 * The text of a file with a bug in it.
 *
 * @throws Error naming bug and file when the text to be replaced is not there exactly once
 */
export function plant(bug: Pick<Bug, 'name' | 'file' | 'find' | 'replace'>, text: string): string {
  const { name, file, find, replace } = bug
  const words = find.trim().split(/\s+/).map(escapePattern)
  const places = [...text.matchAll(new RegExp(words.join('\\s+'), 'g'))]
  const [place] = places
  if (place && places.length === 1) {
    return text.slice(0, place.index) + replace + text.slice(place.index + place[0].length)
  }
  const what = place ? `is there ${places.length} times` : 'is gone'
  throw new Error(`cannot plant "${name}": the text that it replaces ${what} in ${file}`)
}

/** Text as a pattern that matches it and nothing else. */
export const escapePattern = (text: string) => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, '\\$&')
