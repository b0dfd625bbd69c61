import { basename } from 'node:path'
import type { Copy } from '../planted/copy.ts'
import { plant } from '../planted/plant.ts'

/*
 * Proves that a new thing touches one place: adds it to a copy of the sources and counts the other
 * files that had to change. The documentation that `npm run docs` writes is not counted.
 */

/** `find` is in the file exactly once. */
export type Edit = { find: string; replace: string }

/** The text of a new file, or edits of one that exists. */
export type Change = string | readonly Edit[]

/** A small thing, and every change that it needs. */
export type Addition = {
  /** Its name in CONTRIBUTING. */
  thing: string
  /** Where it is written, by file. */
  written: Readonly<Record<string, Change>>
  /** The list that it is entered in. */
  list?: { file: string; edits: readonly Edit[] }
  /** Everything else. */
  others?: Readonly<Record<string, Change>>
}

/** What CONTRIBUTING says about it. */
export type Promised = {
  thing: string
  /** Folders, and names of files. */
  written: readonly string[]
  list: string | undefined
  /** Maximum other files. */
  others: number
}

/** The table under "To add something". */
export function readPromises(contributing: string): Promised[] {
  const part = contributing.split('## To add something\n')[1]?.split('\n## ')[0] ?? ''
  const rows = part.split('\n').filter((line) => line.startsWith('| '))
  return rows.slice(1).map((row) => {
    const [thing = '', written = '', list = '', others = ''] = row
      .split('|')
      .slice(1)
      .map((cell) => cell.trim())
    return {
      thing,
      written: namesIn(written),
      list: namesIn(list)[0],
      others: /^\d+$/.test(others) ? Number(others) : Number.NaN,
    }
  })
}

const namesIn = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name)

/** Everything that an addition does differently from what was promised, as sentences. */
export function broken(addition: Addition, promised: Promised): string[] {
  const { thing, list } = addition
  const changes = Object.entries(addition.written)
  const others = Object.keys(addition.others ?? {})
  const elsewhere = changes.filter(([file, change]) => !promised.written.some(holds(file, change)))
  const unused = promised.written.filter((place) => !changes.some((one) => holds(...one)(place)))
  return [
    ...elsewhere.map(([file]) => `${thing} is written in ${file}, a place that is not named`),
    ...unused.map((place) => `${thing} is not written in ${place}`),
    ...(list?.file === promised.list ? [] : [`${thing} is listed in ${list?.file ?? 'no file'}`]),
    ...(others.length <= promised.others
      ? []
      : [`${thing} changes ${others.length} other files, not ${promised.others}: ${others}`]),
  ]
}

/** A folder holds new files; the name of a file stands for a line in a file of that name. */
const holds = (file: string, change: Change) => (place: string) =>
  typeof change === 'string' ? file.startsWith(`${place}/`) : basename(file) === place

/** What an addition is applied to. */
export type Sources = Pick<Copy, 'has' | 'read' | 'write'>

/** Applies all of it but for its line in the list. @throws Error when it does not fit */
export function addUnlisted(sources: Sources, { thing, written, others = {} }: Addition): void {
  for (const [file, change] of [...Object.entries(written), ...Object.entries(others)]) {
    if (typeof change !== 'string') edit(sources, thing, file, change)
    else if (sources.has(file)) throw new Error(`${thing}: ${file} exists already`)
    else sources.write(file, change)
  }
}

/** Enters it in its list. @throws Error when it does not fit */
export function addToList(sources: Sources, { thing, list }: Addition): void {
  if (list) edit(sources, thing, list.file, list.edits)
}

function edit(sources: Sources, thing: string, file: string, edits: readonly Edit[]): void {
  const changed = edits.reduce(
    (text, { find, replace }) => plant({ name: thing, file, find, replace }, text),
    sources.read(file),
  )
  sources.write(file, changed)
}
