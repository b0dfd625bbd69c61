import * as z from 'zod'
import { fromMicros, type Micros, parseTime, toMicros } from '../core/time.ts'
import { version } from '../platform/version.ts'
import {
  type ArchivedFile,
  type ArchiveKind,
  archiveKinds,
  type HourFacts,
} from '../store/archive.ts'
import { HourFailure, publish, readText, writeTemporary } from './folder.ts'
import { manifestPath, type Place, partitionOf, schemaVersion } from './layout.ts'

/*
 * The manifest makes an hour count: it is written last, once, and names every file of the hour.
 * Plain JSON in snake_case, so that ten lines of any language can read it in 2040.
 */

const time = z.string().refine((text) => parseTime(text) === text, 'is no time in UTC')
const whole = z.int().nonnegative()

const fileSchema = z.object({
  table: z.enum(['event', 'job', 'subjob']),
  path: z.string().regex(/^(event|job|subjob)\/site=[^/]+\/dt=[^/]+\/hour=\d\d\/[^/]+\.parquet$/),
  rows: whole,
  bytes: whole,
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  at_min: time,
  at_max: time,
})

const manifestSchema = z.object({
  version: z.literal(1),
  schema: z.string(),
  site: z.string(),
  hour: time,
  /** The freeze horizon when the hour was read: below it raw events do not change. */
  frozen_before: time,
  archived_at: time,
  archived_by: z.string(),
  /** Null: the raw events were gone before the hour was archived, so it does not have them. */
  rows: z.object({ event: whole.nullable(), job: whole, subjob: whole }),
  /** Events of the hour that came too late and are not in it; they stay in the hot store. */
  late_events: whole,
  files: z.array(fileSchema),
})

export type Manifest = z.infer<typeof manifestSchema>

/** @returns undefined when the hour has none. @throws HourFailure, when it cannot be understood */
export async function readManifest(dir: string, place: Place): Promise<Manifest | undefined> {
  const path = manifestPath(place)
  const text = await readText(dir, path)
  if (text === undefined) return undefined
  const manifest = parseManifest(text)
  if (typeof manifest === 'string') throw new HourFailure(`${path} ${manifest}`)
  const wrong = contradiction(manifest, place)
  if (wrong !== undefined) throw new HourFailure(`${path} ${wrong}`)
  return manifest
}

/** What in a manifest does not go together; undefined when all does. */
function contradiction({ site, hour, rows, files }: Manifest, place: Place): string | undefined {
  if (site !== place.site || hour !== place.from) return `speaks of ${site} ${hour}`
  const end = fromMicros(toMicros(hour) + 3_600_000_000n)
  for (const { table, path, at_min, at_max } of files) {
    if (!path.startsWith(`${table}/${partitionOf(place)}/`)) return `names ${path}, of elsewhere`
    if (at_min < hour || at_min > at_max || at_max >= end) return `names ${path}, of another time`
  }
  for (const table of archiveKinds) {
    const sum = sumOf(files, table)
    if (sum !== (rows[table] ?? 0))
      return `has files of ${sum} rows of ${table}, not ${rows[table]}`
  }
  return undefined
}

const sumOf = (files: Manifest['files'], table: ArchiveKind) =>
  files.reduce((sum, file) => sum + (file.table === table ? file.rows : 0), 0)

/** @returns the manifest, or what is wrong with it */
function parseManifest(text: string): Manifest | string {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return 'is not JSON'
  }
  const result = manifestSchema.safeParse(json)
  if (result.success) return result.data
  const [issue] = result.error.issues
  return `is no manifest: ${issue?.path.join('.')}: ${issue?.message}`
}

export function makeManifest(
  place: Place,
  facts: HourFacts,
  files: readonly ArchivedFile[],
  now: Micros,
): Manifest {
  const rows = (kind: ArchivedFile['kind']) =>
    files.reduce((sum, file) => sum + (file.kind === kind ? file.rows : 0), 0)
  return {
    version: 1,
    schema: schemaVersion,
    site: place.site,
    hour: place.from,
    frozen_before: facts.frozenBefore,
    archived_at: now,
    archived_by: `wafermon ${version}`,
    rows: {
      event: facts.eventsDropped ? null : rows('event'),
      job: rows('job'),
      subjob: rows('subjob'),
    },
    late_events: facts.lateEvents,
    files: files.map(({ kind, atMin, atMax, ...file }) => ({
      table: kind,
      ...file,
      at_min: atMin,
      at_max: atMax,
    })),
  }
}

/** Files as the database notes them. */
export const filesOf = (manifest: Manifest): ArchivedFile[] =>
  manifest.files.map(({ table, at_min, at_max, ...file }) => ({
    kind: table,
    ...file,
    atMin: at_min,
    atMax: at_max,
  }))

/** Writes it durably, once: with this the hour counts. */
export async function writeManifest(dir: string, place: Place, manifest: Manifest): Promise<void> {
  const text = `${JSON.stringify(manifest, null, 2)}\n`
  const chunks = (async function* () {
    yield Buffer.from(text)
  })()
  const temporary = await writeTemporary(dir, place.site, 'manifest.json', chunks)
  await publish(dir, temporary, manifestPath(place))
}
