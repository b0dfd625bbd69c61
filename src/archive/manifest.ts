import * as z from 'zod'
import { ensure } from '../core/must.ts'
import { fromMicros, type Micros, parseTime, toMicros } from '../core/time.ts'
import { version } from '../platform/version.ts'
import { type ArchiveKind, archiveKinds } from '../store/archive/columns.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import type { HourFacts } from '../store/archive/hours.ts'
import { HourFailure } from './hour-failure.ts'
import { type HourKey, manifestPath, schemaVersion, siteFolder, toPartition } from './layout.ts'
import { collect, textChunks } from './places/content.ts'
import type { Place } from './places/place.ts'

/*
 * The manifest makes an hour count: it is written last, once, and names every file of the hour.
 * Plain JSON in snake_case, so that ten lines of any language can read it in 2040.
 */

const time = z.string().refine((text) => parseTime(text) === text, 'is not a time in UTC')
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
  /** Number of the lease under which it was written; the first manifests have none. */
  lease: whole.positive().optional(),
  /** Null: the raw events were gone before the hour was archived, so it does not have them. */
  rows: z.object({ event: whole.nullable(), job: whole, subjob: whole }),
  /** Events of the hour that came too late and are not in it; they stay in the hot store. */
  late_events: whole,
  files: z.array(fileSchema),
})

export type Manifest = z.infer<typeof manifestSchema>

/** @returns undefined when the hour has none. @throws HourFailure when it cannot be understood */
export async function readManifest(place: Place, key: HourKey): Promise<Manifest | undefined> {
  const path = manifestPath(key)
  const content = await place.read(path)
  if (!content) return undefined
  const text = await collect(content.chunks())
  const manifest = parseManifest(text.toString('utf8'))
  if (typeof manifest === 'string') throw new HourFailure(`${path} ${manifest}`)
  const wrong = findContradiction(manifest, key)
  if (wrong !== undefined) throw new HourFailure(`${path} ${wrong}`)
  return manifest
}

/** The first inconsistency of a manifest; undefined when there is none. */
function findContradiction(manifest: Manifest, key: HourKey): string | undefined {
  const { site, hour, rows, files } = manifest
  if (site !== key.site || hour !== key.from) return `belongs to ${site} ${hour}`
  const end = fromMicros(toMicros(hour) + 3_600_000_000n)
  for (const { table, path, at_min, at_max } of files) {
    const isOfHour = path.startsWith(`${table}/${toPartition(key)}/`)
    if (!isOfHour) return `names ${path}, which does not belong to this hour`
    const isInHour = hour <= at_min && at_min <= at_max && at_max < end
    if (!isInHour) return `names ${path} with times outside of the hour`
  }
  for (const table of archiveKinds) {
    const sum = sumRows(files, table)
    if (sum !== (rows[table] ?? 0))
      return `lists files with ${sum} rows of ${table}, not ${rows[table]}`
  }
  return undefined
}

const sumRows = (files: Manifest['files'], table: ArchiveKind) =>
  files.reduce((sum, file) => sum + (file.table === table ? file.rows : 0), 0)

/** @returns the manifest, or its first problem as text */
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
  return `is not a manifest: ${issue?.path.join('.')}: ${issue?.message}`
}

export function makeManifest(
  { site, from }: HourKey,
  facts: HourFacts,
  files: readonly ArchivedFile[],
  { archivedAt, lease }: { archivedAt: Micros; lease: number },
): Manifest {
  const rows = (kind: ArchivedFile['kind']) =>
    files.reduce((sum, file) => sum + (file.kind === kind ? file.rows : 0), 0)
  return {
    version: 1,
    schema: schemaVersion,
    site,
    hour: from,
    frozen_before: facts.frozenBefore,
    archived_at: archivedAt,
    archived_by: `wafermon ${version}`,
    lease,
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

/** The files of a manifest, as the database notes them. */
export const toArchivedFiles = (manifest: Manifest): ArchivedFile[] =>
  manifest.files.map(({ table, at_min, at_max, ...file }) => ({
    kind: table,
    ...file,
    atMin: at_min,
    atMax: at_max,
  }))

/**
 * Puts it into the archive, once: with this the hour counts.
 *
 * @throws AppError conflict when the hour has another
 */
export async function writeManifest(place: Place, key: HourKey, manifest: Manifest): Promise<void> {
  const wrong = findContradiction(manifest, key)
  ensure(wrong === undefined, `a manifest that is written can be read: it ${wrong}`)
  const text = `${JSON.stringify(manifest, null, 2)}\n`
  const staged = await place.stage(`${siteFolder(key.site)}/manifest.json`, textChunks(text))
  await place.putOnce(manifestPath(key), staged)
}
