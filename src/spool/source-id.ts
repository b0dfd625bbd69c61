import { isUtf8 } from 'node:buffer'
import { randomBytes } from 'node:crypto'
import { constants, copyFileSync, existsSync, readFileSync, rmSync, statSync } from 'node:fs'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { eventSchema } from '../core/event.ts'
import { checkTree } from '../core/json.ts'
import { writeDurably } from '../platform/durable-file.ts'
import type { Db } from './db.ts'

const idSchema = eventSchema.shape.source.unwrap().unwrap().shape.id
/** What no name has, though the wire takes it: half a file looks like this. */
const odd = /[\p{Cc}\uFFFD]/u

/** The rules of the wire (`source.id`): an event with another id is refused by every later hop. */
export const isSourceId = (id: unknown): id is string =>
  idSchema.safeParse(id).success && !checkTree(id, 1) && !odd.test(String(id))

/** `now` is used in the place of what `source-id` had: it was missing or damaged, or another by hand. */
export type SourceIdChange = { now: string; before?: string; why: string }

/**
 * The id of this sidecar; made once, and kept: in its file, and beside every number in the database.
 * A file that is damaged is kept as `source-id.damaged`.
 */
export function readSourceId(dir: string, db: Db): { sourceId: string; change?: SourceIdChange } {
  const path = join(dir, 'source-id')
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0
  const written = readWrittenId(dir)
  const known = lastUsed(db)
  if (written !== undefined) {
    if (known === undefined || known === written) return { sourceId: written }
    const why = 'source-id was changed; numbers that were given before keep the earlier id'
    return { sourceId: written, change: { now: written, before: known, why } }
  }
  const damaged = size > 0
  // The other is in its place before it goes: whatever fails, the next attempt sees it again.
  if (damaged) {
    rmSync(`${path}.damaged`, { force: true })
    copyFileSync(path, `${path}.damaged`, constants.COPYFILE_EXCL)
  }
  const now = known ?? newSourceId()
  writeDurably(path, `${now}\n`)
  if (!damaged && known === undefined) return { sourceId: now }
  const from = known === undefined ? 'replaced by a new one' : 'taken from spool.db'
  const why = `source-id was ${damaged ? 'damaged, and is kept as source-id.damaged' : 'missing'}; the id was ${from}`
  return { sourceId: now, change: { now, why } }
}

/** The id in the file; undefined when there is none that the wire takes. */
export function readWrittenId(dir: string): string | undefined {
  const path = join(dir, 'source-id')
  if (!existsSync(path)) return undefined
  const bytes = readFileSync(path)
  const text = isUtf8(bytes) ? bytes.toString().trim() : ''
  return isSourceId(text) ? text : undefined
}

/** The id under which numbers were given last. */
const lastUsed = (db: Db) =>
  db.prepare('select source_id from epoch order by first_seq desc limit 1').pluck().get() as
    | string
    | undefined

export function newSourceId(): string {
  const host = hostname().slice(0, 100)
  return `${isSourceId(host) ? host : 'sidecar'}-${randomBytes(4).toString('hex')}`
}
