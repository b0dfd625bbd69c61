import type { StatsFilter, StatsRow } from '../core/job.ts'

/**
 * The question to each site, so that the rows can be added up: with the status, because then every job
 * that counts in a row either has a duration or none has.
 */
export const addable = (filter: StatsFilter): StatsFilter =>
  isBySite(filter) || filter.groupBy.includes('status')
    ? filter
    : { ...filter, groupBy: [...filter.groupBy, 'status'] }

const isBySite = ({ groupBy }: StatsFilter) => groupBy.includes('site')

/** Statistics of several sites as one. Percentiles do not add up: over several rows they are null. */
export function mergeStats(rows: readonly StatsRow[], filter: StatsFilter): StatsRow[] {
  if (isBySite(filter)) return sorted(rows)
  const byStatus = filter.groupBy.includes('status')
  const groups = new Map<string, StatsRow[]>()
  for (const row of rows) {
    const wanted = byStatus ? row : { ...row, status: null }
    const key = JSON.stringify([wanted.bucket, wanted.appName, wanted.status])
    groups.set(key, [...(groups.get(key) ?? []), wanted])
  }
  return sorted(
    [...groups.values()].map((members) => (members.length === 1 ? members[0]! : sum(members))),
  )
}

function sum(rows: StatsRow[]): StatsRow {
  const timed = rows.filter((row) => row.durationAvgS !== null)
  const count = (of: StatsRow[]) => of.reduce((total, row) => total + row.count, 0)
  const total = timed.reduce((seconds, row) => seconds + row.count * row.durationAvgS!, 0)
  const values = (key: 'durationMinS' | 'durationMaxS') => rows.flatMap((row) => row[key] ?? [])
  const orNull = (numbers: number[], pick: (...of: number[]) => number) =>
    numbers.length > 0 ? pick(...numbers) : null
  return {
    ...rows[0]!,
    count: count(rows),
    durationAvgS: timed.length > 0 ? total / count(timed) : null,
    durationMinS: orNull(values('durationMinS'), Math.min),
    durationMaxS: orNull(values('durationMaxS'), Math.max),
    durationP50S: null,
    durationP95S: null,
    durationP99S: null,
  }
}

const keyOf = ({ bucket, siteId, appName, status }: StatsRow) =>
  [bucket, siteId ?? '', appName ?? '', status ?? ''].join('\n')

const sorted = (rows: readonly StatsRow[]) =>
  [...rows].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : keyOf(a) > keyOf(b) ? 1 : 0))
