/**
 * Cuts the text of a JSON array into the texts of its items, without a second parser.
 *
 * It cuts where `"idempotency_key"` stands, and only when that is certain to be right: no name can be
 * spelled in another way (there is no backslash), every item has that name first, and the name stands
 * nowhere else, so there are as many as there are items. Then an item begins at the brace before its
 * name, and ends at the last brace before the next item begins.
 *
 * @param items the array as it was parsed
 * @returns undefined when it is not certain
 */
export function cutItems(text: string, items: readonly unknown[]): string[] | undefined {
  if (items.length === 0 || text.includes('\\') || !items.every(beginsWithKey)) return undefined
  const starts: number[] = []
  for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + name.length)) {
    if (starts.length === items.length) return undefined
    starts.push(text.lastIndexOf('{', at))
  }
  if (starts.length !== items.length) return undefined
  starts.push(text.length)
  return items.map((_, i) => text.slice(starts[i], text.lastIndexOf('}', starts[i + 1]) + 1))
}

const name = '"idempotency_key"'

function beginsWithKey(item: unknown): boolean {
  if (typeof item !== 'object' || item === null) return false
  for (const first in item) return first === 'idempotency_key'
  return false
}
