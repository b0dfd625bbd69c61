import { createHash } from 'node:crypto'
import { must } from '../../core/must.ts'

/*
 * A page as parts: every element of its main content with an id, nested as they are.
 *
 *  - `data-v` on a part is the version of what is its own: its HTML without the parts in it. A browser
 *    reports the versions that it shows, and is sent the parts that differ: nothing else has to be
 *    remembered about it.
 *  - What is in a form is never replaced: a reader may be filling it in.
 *  - The rows of `#rows` are replaced one by one; none enters, leaves or moves, because that would shift
 *    the list under a finger. `#new` says how many wait, to each reader another number. A `#list`
 *    without rows has nothing to shift, and is filled.
 */

export type Part = {
  id: string
  version: string
  /** The element with the parts in it, each stamped with its version. */
  html: string
  parts: readonly Part[]
}

/** The part whose rows never enter or leave, and the one that holds it, or says that there are none. */
export const rowsId = 'rows'
export const listId = 'list'
const notPart = 'new'

const open = '<main '
const close = '</main>'

/** A whole page with the versions of its parts in it; without a main content it stays as it is. */
export function stampPage(html: string): string {
  const [from, to] = findMain(html)
  if (from < 0) return html
  return html.slice(0, from) + stamp(html.slice(from, to)).html + html.slice(to)
}

/** The parts of a page that was stamped or not. */
export function readPage(html: string): readonly Part[] {
  const [from, to] = findMain(html)
  return from < 0 ? [] : stamp(html.slice(from, to)).parts
}

function findMain(html: string): [from: number, to: number] {
  const tag = html.indexOf(open)
  if (tag < 0) return [-1, -1]
  return [html.indexOf('>', tag) + 1, html.lastIndexOf(close)]
}

/** An element that is not closed yet. */
type Element = { name: string; part: Building | undefined; form: boolean }
type Building = { id: string; tag: string; html: string; own: string; parts: Part[] }

const tags = /<(\/?)([a-zA-Z][\w:-]*)((?:[^"'>]|"[^"]*"|'[^']*')*)>/g
const voids = new Set(['br', 'hr', 'img', 'input', 'link', 'meta', 'col', 'wbr'])

/** A fragment with the version of each part in it, and the parts. The HTML has to be well-formed. */
export function stamp(source: string): { html: string; parts: readonly Part[] } {
  const html = source.replaceAll(/ data-v="[^"]*"/g, '')
  const root: Building = { id: '', tag: '', html: '', own: '', parts: [] }
  const building = [root]
  const elements: Element[] = []
  let forms = 0
  let read = 0
  const add = (text: string) => {
    const top = must(building.at(-1), 'the root is never closed')
    top.html += text
    if (forms === 0) top.own += text
  }
  for (const { 0: tag, 1: slash, 2: name = '', 3: rest = '', index } of html.matchAll(tags)) {
    add(html.slice(read, index))
    read = index + tag.length
    if (slash === '/') {
      add(tag)
      const element = elements.pop()
      if (element?.form) forms--
      if (element?.part) finish(must(building.pop(), 'a part is open'), building, forms > 0)
      continue
    }
    const id = forms === 0 ? / id="([^"]*)"/.exec(rest)?.[1] : undefined
    const part =
      id === undefined || id === notPart ? undefined : { id, tag, html: '', own: tag, parts: [] }
    if (part) building.push(part)
    else add(tag)
    if (voids.has(name) || rest.endsWith('/')) {
      if (part) finish(must(building.pop(), 'a part is open'), building, forms > 0)
      continue
    }
    const form = name === 'form'
    if (form) forms++
    elements.push({ name, part, form })
  }
  add(html.slice(read))
  return { html: root.html, parts: root.parts }
}

function finish({ id, tag, html, own, parts }: Building, building: Building[], inForm: boolean) {
  const version = createHash('sha1').update(own).digest('base64url').slice(0, 8)
  const stamped = `${tag.replace(/\/?>$/, ` data-v="${version}"$&`)}${html}`
  const parent = must(building.at(-1), 'the root is never closed')
  parent.html += stamped
  if (!inForm) parent.own += `\0${id}`
  parent.parts.push({ id, version, html: stamped, parts })
}

/** All parts, also those in others. */
export function* eachPart(parts: readonly Part[]): Generator<Part> {
  for (const part of parts) {
    yield part
    yield* eachPart(part.parts)
  }
}

/** Marks the HTML of a part as a replacement for the one on the page. */
export function asReplacement({ html }: Part): string {
  const marked = html.replace(/^<[\w:-]+/, '$& hx-swap-oob="outerMorph"')
  // After anything that is no part of a table, a browser drops the tags of a row that is in none.
  return html.startsWith('<tr') ? `<table><tbody>${marked}</tbody></table>` : marked
}
