import { findArray, walkArray } from '../core/item-texts.ts'
import { parseText } from '../core/json.ts'

/** Makes something of the text of an answer. Throws when it is not the answer that was expected. */
export type ReadAnswer<T> = (text: string) => T | Promise<T>

export const readWhole =
  <T>(read: (json: unknown) => T): ReadAnswer<T> =>
  (text) =>
    read(parseText(text))

/** Text that is parsed in one turn of the event loop. */
const turnLength = 128 * 1024

/**
 * For an answer with `items`: a long list is parsed some items at a time, and others get their turn in
 * between.
 *
 * @param finish is given the items, and the answer without them
 */
export const readItems =
  <Item, T>(
    item: (json: unknown) => Item,
    finish: (items: Item[], rest: unknown) => T,
  ): ReadAnswer<T> =>
  async (text) => {
    const start = findArray(text, 'items')
    // Without one it is not a list, and `finish` says so.
    if (start === undefined) return finish([], parseText(text))
    const items: Item[] = []
    const walk = walkArray(text, start)
    let turnEnds = start + turnLength
    let next = walk.next()
    for (; !next.done; next = walk.next()) {
      const cut = next.value
      items.push(item(parseText(text.slice(cut.start, cut.end))))
      if (cut.end < turnEnds) continue
      await new Promise(setImmediate)
      turnEnds = cut.end + turnLength
    }
    const rest = `${text.slice(0, start)}[]${text.slice(next.value)}`
    return finish(items, parseText(rest))
  }
