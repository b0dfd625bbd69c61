import { fileURLToPath } from 'node:url'
import type { Event } from '../../../src/core/event.ts'
import { foldEvents, toShown } from '../../../src/core/fold.ts'
import { readEvent } from '../../../src/core/read-event.ts'
import type { ImportContext } from '../../../src/tools/import/format.ts'
import { formats } from '../../../src/tools/import/formats/index.ts'
import { type Found, readEvents } from '../../../src/tools/import/pieces.ts'
import { Source } from '../../../src/tools/import/source.ts'
import type { Target } from '../../../src/tools/import/to-event.ts'

/** A file of this folder, made by hand in the documented form of its system. */
export const sample = (name: string): string =>
  fileURLToPath(new URL(`files/${name}`, import.meta.url))

/** The columns of lots.csv. */
export const lotColumns = {
  ...{ id: 'Lot', attempt: 'Try', route: 'Route', queued_at: 'Queued', started_at: 'TrackIn' },
  ...{ ended_at: 'TrackOut', status: 'Result', exit_code: 'Code', message: 'Comment' },
  ...{ tool: 'Tool', 'metrics.cd_nm': 'CD' },
}

/** Each format with its sample, and the arguments that it needs. */
export const samples = [
  { format: 'sacct', file: 'sacct.txt', bad: [18, 19] },
  { format: 'nextflow', file: 'nextflow.txt', bad: [7] },
  { format: 'htcondor', file: 'htcondor.txt', bad: [60, 63] },
  { format: 'htcondor', file: 'jobstate.txt', bad: [21] },
  { format: 'xes', file: 'cases.xes', bad: [52] },
  { format: 'openlineage', file: 'openlineage.ndjson', bad: [9, 10] },
  { format: 'otlp-json', file: 'spans.ndjson', bad: [2, 4] },
  { format: 'csv', file: 'lots.csv', bad: [8, 10], map: lotColumns },
] as const

type Options = Partial<Target> & {
  map?: Readonly<Record<string, string>>
} & Omit<ImportContext, 'map'>

/** All that a file gives. */
export async function readFound(name: string, file: string, options: Options = {}) {
  const { zone = 'UTC', map, delimiter, siteId = 'fab1', system = name, app } = options
  const format = await formats.find((one) => one.name === name)?.load()
  if (!format) throw new Error(`there is no format ${name}`)
  const context = { zone, delimiter, map: map && new Map(Object.entries(map)) }
  const found: Found[] = []
  for await (const one of readEvents(new Source(file), format, context, { siteId, system, app })) {
    found.push(one)
  }
  return found
}

/** The events as a sidecar takes them. */
export function toTaken(found: readonly Found[]): Event[] {
  return found.flatMap((one) => {
    if (!('event' in one)) return []
    const hop = { receivedAt: '2099-01-01T00:00:00.000000Z' }
    const read = readEvent(one.event, hop, { maxEventBytes: 65_536, maxSkewS: 600 })
    if (!read.ok) throw new Error(`${read.field} ${read.detail}`)
    return [read.event]
  })
}

/** What a file makes of its jobs and subjobs, by their keys. */
export async function foldFile(name: string, file: string, options: Options = {}) {
  const found = await readFound(name, file, options)
  const unique = new Map(
    toTaken(found).map((event) => [`${event.event.at} ${event.idempotency_key}`, event]),
  )
  const { jobs, subjobs } = foldEvents(unique.values())
  const shown = [...jobs, ...subjobs].map((slots) => {
    const key = String(slots.sub_key ?? slots.job_key)
    return [key, { ...toShown(slots), slots, lastError: slots.last_error }] as const
  })
  const byKey = Object.fromEntries(shown)
  return { found, byKey, jobs, subjobs, bad: found.filter((one) => 'why' in one) }
}
