import { join } from 'node:path'
import { fromMicros, type Micros } from '../core/time.ts'
import { eventColumns, jobColumns, schemaVersion } from './columns.ts'
import {
  clean,
  fingerprint,
  manifestPath,
  type Place,
  partitionOf,
  publish,
  readManifest,
  writeTemporary,
} from './folder.ts'
import { parquetBytes, type Row, readBack } from './parquet.ts'

export type Kind = 'event' | 'job' | 'subjob'
export const kinds = ['event', 'job', 'subjob'] as const

/** A file that was read back and matched, as the manifest lists it. */
export type Written = {
  kind: Kind
  path: string
  rows: number
  bytes: number
  sha256: string
  atMin: Micros
  atMax: Micros
}

export type Manifest = { version: 1; site: string; hour: Micros; schema: string; files: Written[] }

export type ExportOptions = {
  dir: string
  place: Place
  /** Rows of one kind in the order of time, in batches; columns in camelCase. */
  rowsOf: (kind: Kind) => AsyncGenerator<Row[]>
}

/** Most rows in one file: bounds what writing and reading it back need in memory. */
const maxRows = 600_000

/**
 * Writes one closed hour: files, read back, then the manifest. A crash at any point leaves either a
 * complete hour or nothing that counts, and the next attempt begins by clearing that away.
 *
 * @returns the files of the hour, also when an earlier attempt had already finished it
 * @throws when a file does not read back as it was written; nothing of the hour counts then
 */
export async function exportHour(options: ExportOptions): Promise<Written[]> {
  const { dir, place } = options
  const done = (await readManifest(dir, place)) as Manifest | undefined
  if (done) return done.files
  const files: Written[] = []
  for (const kind of kinds) {
    await clean(dir, `${kind}/${partitionOf(place)}`)
    files.push(...(await exportKind(kind, options)))
  }
  const manifest: Manifest = {
    version: 1,
    site: place.site,
    hour: place.from,
    schema: schemaVersion,
    files,
  }
  await writeManifest(dir, place, manifest)
  return files
}

async function exportKind(kind: Kind, { dir, place, rowsOf }: ExportOptions): Promise<Written[]> {
  const source = rowsOf(kind)
  const files: Written[] = []
  for (;;) {
    const seen = { rows: 0, first: '', last: '' }
    const head = await source.next()
    if (head.done) return files
    const part = counted(kind, head.value, source, seen)
    files.push(await writeFile(kind, dir, place, part, seen))
  }
}

type Seen = { rows: number; first: Micros; last: Micros }
const timeOf = (kind: Kind) => (kind === 'event' ? 'at' : 'ended_at')

/** The rows of one file, in the names of the archive, counted on their way. */
async function* counted(kind: Kind, head: Row[], rest: AsyncGenerator<Row[]>, seen: Seen) {
  let next: IteratorResult<Row[]> = { done: false, value: head }
  while (!next.done) {
    const rows = next.value.map(snakeRow)
    if (seen.rows === 0) seen.first = String(rows[0]![timeOf(kind)])
    seen.last = String(rows.at(-1)![timeOf(kind)])
    seen.rows += rows.length
    yield rows
    if (seen.rows >= maxRows) return
    next = await rest.next()
  }
}

const snakeRow = (row: Row): Row =>
  Object.fromEntries(Object.entries(row).map(([name, value]) => [snake(name), value]))
const snake = (name: string) => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)

async function writeFile(
  kind: Kind,
  dir: string,
  place: Place,
  rows: AsyncGenerator<Row[]>,
  seen: Seen,
): Promise<Written> {
  const columns = kind === 'event' ? eventColumns : jobColumns
  const about = new Map([
    ['wafermon.schema', schemaVersion],
    ['wafermon.site', place.site],
  ])
  const folder = `${kind}/${partitionOf(place)}`
  const bytes = await parquetBytes(columns, rows, about)
  const { path, ...written } = await writeTemporary(dir, folder, bytes)
  await matches(path, kind, written, seen)
  const compact = (time: Micros) => time.replaceAll(/[-:.]/g, '')
  const name = `${folder}/${compact(seen.first)}-${compact(seen.last)}-${written.sha256.slice(0, 8)}.parquet`
  await publish(dir, path, name)
  return { kind, path: name, rows: seen.rows, ...written, atMin: seen.first, atMax: seen.last }
}

/** @throws Error naming what differs between what was written and what is on disk */
async function matches(
  path: string,
  kind: Kind,
  written: { bytes: number; sha256: string },
  seen: Seen,
): Promise<void> {
  const onDisk = await fingerprint(path)
  const found = await readBack(path, timeOf(kind))
  const differs = (what: string) => new Error(`${what} of ${path} is not what was written`)
  if (onDisk.bytes !== written.bytes) throw differs('the size')
  if (onDisk.sha256 !== written.sha256) throw differs('the SHA-256')
  if (found.claimed !== seen.rows || found.rows !== seen.rows) throw differs('the number of rows')
  if (found.min === undefined || fromMicros(found.min) !== seen.first)
    throw differs('the first time')
  if (found.max === undefined || fromMicros(found.max) !== seen.last) throw differs('the last time')
}

async function writeManifest(dir: string, place: Place, manifest: Manifest): Promise<void> {
  const name = manifestPath(place)
  const text = `${JSON.stringify(manifest, null, 2)}\n`
  const once = async function* () {
    yield Buffer.from(text)
  }
  const { path } = await writeTemporary(dir, join(name, '..'), once())
  await publish(dir, path, name)
}
