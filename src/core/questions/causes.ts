import { toQuery } from '../filter-wire.ts'
import type { JobFilter } from '../job.ts'
import { must } from '../must.ts'
import { fromMs, type Micros, toMs } from '../time.ts'
import { choice, makeTable, orNull, text, whole } from '../wire-table.ts'
import type { Question } from './question.ts'

/** What jobs are counted by. `all` is every job; `error` is the text of the error without its numbers. */
export const causeFacts = [
  'all',
  'site',
  'app',
  'version',
  'tool',
  'chamber',
  'recipe',
  'host',
  'error_type',
  'exit_code',
  'queue',
  'priority',
  'error',
] as const
export type CauseFact = (typeof causeFacts)[number]

/** The jobs that ended in a window, of which it is known how, and share a value. */
export type CauseCount = {
  fact: CauseFact
  /** Empty for `all`. */
  value: string
  /** The app of a version, the tool of a chamber; null for other facts. */
  of: string | null
  ended: number
  failed: number
  /** The same of the end of the window, which shows what is going on now. */
  recentEnded: number
  recentFailed: number
}

export type CausesFilter = Pick<JobFilter, 'site' | 'appName'> & {
  /** By the end of jobs. */
  from: Micros
  to: Micros
  /** Start of the end of the window. */
  recentFrom: Micros
  /** Values of fewer failures are left out. */
  minFailed: number
}

const minuteMs = 60_000

/** Where the end of a window starts: its last twelfth, from 15 minutes to 6 hours. */
export function startRecent(from: Micros, to: Micros): Micros {
  const twelfth = (toMs(to) - toMs(from)) / 12
  const length = Math.min(Math.max(twelfth, 15 * minuteMs), 360 * minuteMs)
  return fromMs(Math.max(toMs(from), toMs(to) - length))
}

/** Maximum values in an answer, those with most failures. */
export const maxCauses = 2000
/**
 * The same of an answer with values that never failed, which is for merging: about half of them those with most
 * failures, half those with most jobs. A value that is left out at one site looks worse than it is by its jobs there,
 * which are fewer than those of so many others.
 */
export const maxCounted = 20_000

/** Ended and failed jobs of the same window by each value of each fact. What ended as `unknown` is neither. */
export const causesQuestion: Question<CausesFilter, CauseCount> = {
  name: 'causes',
  path: '/v1/causes',
  toQuery: (filter) =>
    toQuery({
      from: filter.from,
      to: filter.to,
      recent_from: filter.recentFrom,
      min_failed: filter.minFailed,
      site: filter.site,
      app_name: filter.appName,
    }),
  table: makeTable<CauseCount>('a count of ended jobs', {
    fact: choice(causeFacts, 'What they share; `all` counts every job.'),
    value: text('The shared value; empty for `all`.'),
    of: orNull(text('The app of a version, the tool of a chamber; null for other facts.')),
    ended: whole('Jobs that ended in the window, without those of unknown outcome.'),
    failed: whole('Those of them that failed.'),
    recentEnded: whole('The same since `recent_from`.'),
    recentFailed: whole('Those of them that failed.'),
  }),
  maxOf: ({ minFailed }) => (minFailed > 0 ? maxCauses : maxCounted),
  /** A value without failures at one site counts beside its failures at another. */
  forSite: (filter) => ({ ...filter, minFailed: 0 }),
  merge: (answers, { minFailed }) => {
    const rows = answers.flatMap(({ items }) => items)
    const groups = Map.groupBy(rows, ({ fact, value, of }) => JSON.stringify([fact, value, of]))
    return [...groups.values()]
      .map(sum)
      .filter(({ fact, failed }) => fact === 'all' || failed >= minFailed)
      .sort(compareCauses)
  },
}

/** The order of an answer: most failures first, then most jobs. */
export const compareCauses = (a: CauseCount, b: CauseCount): number =>
  b.failed - a.failed || b.ended - a.ended || (keyOf(a) < keyOf(b) ? -1 : 1)

/** Of equal counts, all jobs come first, then fact by fact. */
const keyOf = ({ fact, of, value }: CauseCount) =>
  [fact === 'all' ? 0 : 1, fact, of ?? '', value].join('\n')

function sum(rows: readonly CauseCount[]): CauseCount {
  const total = (key: 'ended' | 'failed' | 'recentEnded' | 'recentFailed') =>
    rows.reduce((all, row) => all + row[key], 0)
  return {
    ...must(rows[0], 'a group has a row'),
    ended: total('ended'),
    failed: total('failed'),
    recentEnded: total('recentEnded'),
    recentFailed: total('recentFailed'),
  }
}
