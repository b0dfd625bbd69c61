import { makeManifest, readNewest, writeManifest } from '../../src/archive/manifest.ts'
import { toArchivedFiles } from '../../src/archive/manifest-file.ts'
import { stageParts } from '../../src/archive/parts.ts'
import type { Place } from '../../src/archive/places/place.ts'
import { toMicrosNumber } from '../../src/core/time.ts'
import {
  type ArchiveKind,
  type ArchiveRow,
  archiveColumns,
} from '../../src/store/archive/columns.ts'
import type { Day } from '../../src/store/archive/days.ts'

/* Days that are written as the archiver writes them, from rows that a test gives: without a database. */

/** Values by column; those that are absent are null, and a time is text or microseconds. */
export type GivenRow = Record<string, string | number | bigint | boolean | null>

export function toArchiveRow(kind: ArchiveKind, row: GivenRow): ArchiveRow {
  return archiveColumns[kind].map(({ name, type }) => {
    const value = row[name] ?? null
    return type === 'time' && typeof value === 'string' ? toMicrosNumber(value) : value
  })
}

export type GivenPart = { kind: ArchiveKind; rows: readonly GivenRow[]; maxRows?: number }

/** Adds files to a day, each part by itself, and one manifest that names them besides those from before. */
export async function writeDay(
  place: Place,
  day: Day,
  parts: readonly GivenPart[],
  { replaces = false } = {},
): Promise<void> {
  const before = await readNewest(place, day)
  const files = replaces ? [] : toArchivedFiles(before?.manifest.files ?? [])
  for (const { kind, rows, maxRows = 600_000 } of parts) {
    const batches = (async function* () {
      for (let i = 0; i < rows.length; i += 5000)
        yield rows.slice(i, i + 5000).map((row) => toArchiveRow(kind, row))
    })()
    const { signal } = new AbortController()
    const staged = await stageParts(batches, rows.length, { place, day, kind, maxRows, signal })
    for (const part of staged) {
      await place.putOnce(part.file.path, part.staged)
      files.push(part.file)
    }
  }
  const end = before && { seq: before.manifest.seq, link: before.link }
  const manifest = makeManifest({
    ...{ day, number: (before?.manifest.number ?? 0) + 1, end, lease: 1, files },
    ...{ frozenBefore: day.to, archivedAt: day.to, lateEvents: 0, eventsDropped: false },
  })
  await writeManifest(place, day, manifest)
}

const uuid = (prefix: string, n: number) =>
  `${prefix}0000000-0000-4000-8000-${String(n).padStart(12, '0')}`

/** A job of a day that ended `second` seconds into it. */
export function jobRow(day: Day, n: number, more: GivenRow = {}): GivenRow {
  const at = new Date(Date.parse(day.from) + n * 1000).toISOString().replace('Z', '001Z')
  return {
    ...{
      ended_at: at,
      job_id: uuid('b', n),
      app_id: uuid('a', 1),
      app_name: 'etch',
      app_version: '1',
    },
    ...{
      site_id: day.site,
      job_key: `lot ${n}`,
      status: 'succeeded',
      started_at: at,
      duration_s: 0,
    },
    ...{ error_count: 0, last_event_at: at, event_count: 1, inserted_at: at, updated_at: at },
    ...{ attempt: 1, version: 1, metadata: '{}', ...more },
  }
}

/** An event of a day, `second` seconds into it. */
export function eventRow(day: Day, n: number, more: GivenRow = {}): GivenRow {
  const at = new Date(Date.parse(day.from) + n * 1000).toISOString().replace('Z', '001Z')
  return {
    ...{ event_at: at, idempotency_key: uuid('d', n), received_at: at, stored_at: at },
    ...{ entity_type: 'job', entity_id: uuid('b', n), app_id: uuid('a', 1), app_name: 'etch' },
    ...{ app_version: '1', site_id: day.site, business_key: `lot ${n}`, kind: 'finished' },
    ...{ historical: false, ...more },
  }
}
