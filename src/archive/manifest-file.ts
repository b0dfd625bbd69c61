import * as z from 'zod'
import { parseTime } from '../core/time.ts'
import { type ArchiveKind, archiveKinds } from '../store/archive/columns.ts'
import type { ArchivedFile } from '../store/archive/files.ts'

/* What the manifests of days, and those of hours from earlier versions, have in common. */

export const time = z.string().refine((text) => parseTime(text) === text, 'is not a time in UTC')
export const whole = z.int().nonnegative()
export const hash = z.string().regex(/^[0-9a-f]{64}$/)

export const fileShape = z.object({
  table: z.enum(archiveKinds),
  path: z
    .string()
    .regex(/^(event|job|subjob)\/site=[^/]+\/dt=[^/]+\/(hour=\d\d\/)?[^/]+\.parquet$/),
  rows: whole,
  bytes: whole,
  sha256: hash,
  at_min: time,
  at_max: time,
})

/** Of manifests that this program can read. */
const newestVersion = 2

export type ManifestFile = z.infer<typeof fileShape>

/** @returns the manifest, or its first problem as text */
export function parseManifest<T>(schema: z.ZodType<T>, text: string): T | string {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return 'is not JSON'
  }
  const { version } = (json ?? {}) as { version?: unknown }
  if (typeof version === 'number' && version > newestVersion) {
    return `was written by a newer version of wafermon (manifest version ${version}); use that one`
  }
  const result = schema.safeParse(json)
  if (result.success) return result.data
  const [issue] = result.error.issues
  return `is not a manifest: ${issue?.path.join('.')}: ${issue?.message}`
}

export const sumRows = (files: readonly ManifestFile[], table: ArchiveKind) =>
  files.reduce((sum, file) => sum + (file.table === table ? file.rows : 0), 0)

/** The first table whose files do not have the rows that are claimed; undefined when there is none. */
export function contradictionOfSums(
  files: readonly ManifestFile[],
  rows: Record<ArchiveKind, number | null>,
): string | undefined {
  for (const table of archiveKinds) {
    const sum = sumRows(files, table)
    if (sum !== (rows[table] ?? 0))
      return `lists files with ${sum} rows of ${table}, not ${rows[table]}`
  }
  return undefined
}

/** The files of a manifest, as the database notes them. */
export const toArchivedFiles = (files: readonly ManifestFile[]): ArchivedFile[] =>
  files.map(({ table, at_min, at_max, ...file }) => ({
    kind: table,
    ...file,
    atMin: at_min,
    atMax: at_max,
  }))

export const toManifestFile = ({ kind, atMin, atMax, ...file }: ArchivedFile): ManifestFile => ({
  table: kind,
  ...file,
  at_min: atMin,
  at_max: atMax,
})
