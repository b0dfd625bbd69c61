import type { StatsFilter, StatsRow } from '../core/job.ts'

/**
 * The question to each site whose rows can be added up: by status, because then either every job of a
 * row has a duration or none has.
 */
export const toAddable = (filter: StatsFilter): StatsFilter =>
  isBySite(filter) || filter.groupBy.includes('status')
    ? filter
    : { ...filter, groupBy: [...filter.groupBy, 'status'] }

const isBySite = ({ groupBy }: StatsFilter) => groupBy.includes('site')

/** Statistics of several sites as one. Percentiles do not add up: over several rows they are null. */
export function mergeStats(rows: readonly StatsRow[], filter: StatsFilter): StatsRow[] {
  if (isBySite(filter)) return sorted(rows)
  const byStatus = filter.groupBy.includes('status')
  const groups = new Map<string, Rows>()
  for (const row of rows) {
    const wanted = byStatus ? row : { ...row, status: null }
    const key = JSON.stringify([wanted.bucket, wanted.appName, wanted.status])
    const group = groups.get(key)
    if (group) group.push(wanted)
    else groups.set(key, [wanted])
  }
  return sorted([...groups.values()].map((group) => (group.length === 1 ? group[0] : sum(group))))
}

type Rows = [StatsRow, ...StatsRow[]]

function sum(rows: Rows): StatsRow {
  const timed = rows.flatMap(({ count, durationAvgS }) =>
    durationAvgS === null ? [] : [{ count, durationAvgS }],
  )
  const count = (of: { count: number }[]) => of.reduce((total, row) => total + row.count, 0)
  const total = timed.reduce((seconds, row) => seconds + row.count * row.durationAvgS, 0)
  const values = (key: 'durationMinS' | 'durationMaxS') => rows.flatMap((row) => row[key] ?? [])
  const orNull = (numbers: number[], pick: (...of: number[]) => number) =>
    numbers.length > 0 ? pick(...numbers) : null
  return {
    ...rows[0],
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
