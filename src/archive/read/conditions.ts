import { compareText } from '../../core/compare-text.ts'
import { impliedStatus, type JobStatus } from '../../core/job.ts'
import type { Kind } from '../../core/kinds.ts'
import { type Micros, toMicros } from '../../core/time.ts'
import { type ArchiveKind, timeColumn } from '../../store/archive/columns.ts'
import type { ColumnStats, ParquetValue } from './parquet-file.ts'

/*
 * What is asked of rows, in two forms that agree: for the statistics of a row group, whether any row of it may match, and
 * for the values of a row, whether it does.
 */

/** Conditions on rows; all hold. An absent one asks nothing, and a list of none matches no row. */
export type Where = {
  /** Ids: of jobs, of subjobs, of the job or subjob of an event. */
  ids?: readonly string[] | undefined
  /** Names of apps, whole and in their case. */
  apps?: readonly string[] | undefined
  /** Ids of what jobs and subjobs belong to. */
  parents?: readonly string[] | undefined
  /** Business keys, as rows have them: that of a subjob may be only with its job. */
  keys?: readonly string[] | undefined
  /** States: of jobs, or those that events report or imply by their kind. */
  statuses?: readonly JobStatus[] | undefined
  /**
   * Times, `from` included, `to` not: of events their own, of jobs the end, or the last event of one that never ended.
   */
  from?: Micros | undefined
  to?: Micros | undefined
}

/** One condition. */
export type Condition = {
  /** The columns that it looks at. */
  columns: readonly string[]
  /** False only when no row with such statistics matches. */
  mayMatch(stats: (column: string) => ColumnStats | undefined): boolean
  /** @param values of `columns` */
  matches(values: readonly ParquetValue[]): boolean
}

/** The column of the ids that rows go by. */
export const idColumn = (kind: ArchiveKind) => (kind === 'event' ? 'entity_id' : `${kind}_id`)

/** The conditions of a question about rows of a kind. */
export function toConditions(kind: ArchiveKind, where: Where): Condition[] {
  const { ids, apps, parents, keys, statuses, from, to } = where
  const found: Condition[] = []
  if (ids)
    found.push(
      isOneOf(
        idColumn(kind),
        ids.map((id) => id.toLowerCase()),
      ),
    )
  if (apps) found.push(isOneOf('app_name', apps))
  if (parents) found.push(isOneOf(kind === 'subjob' ? 'job_id' : 'parent_id', parents))
  if (keys) found.push(isOneOf(kind === 'event' ? 'business_key' : 'job_key', keys))
  if (statuses) found.push(kind === 'event' ? reports(statuses) : isOneOf('status', statuses))
  if (from !== undefined || to !== undefined) {
    const window = { from: maybeMicros(from), to: maybeMicros(to) }
    found.push(kind === 'event' ? isWithin(timeColumn(kind), window) : endsWithin(window))
  }
  return found
}

function isOneOf(column: string, texts: readonly string[]): Condition {
  const wanted = new Set<ParquetValue>(texts)
  return {
    columns: [column],
    mayMatch: (stats) => {
      const found = stats(column)
      return !found || texts.some((text) => mayHave(found, text))
    },
    matches: ([value]) => wanted.has(value ?? null),
  }
}

/** By bytes, as the statistics are. One that was cut within a character cannot be compared. */
function mayHave({ min, max }: ColumnStats, text: string): boolean {
  if (typeof min !== 'string' || typeof max !== 'string') return true
  const isBelow = isWhole(min) && compareText(text, min) < 0
  const isAbove = isWhole(max) && compareText(text, max) > 0
  return !isBelow && !isAbove
}

const isWhole = (text: string) => !text.includes('\ufffd')

const reports = (statuses: readonly JobStatus[]): Condition => ({
  columns: ['status', 'kind'],
  mayMatch: () => true,
  matches: ([status, kind]) =>
    statuses.includes((status ?? impliedStatus(kind as Kind)) as JobStatus),
})

const maybeMicros = (time: Micros | undefined) => (time === undefined ? time : toMicros(time))

type Window = { from: bigint | undefined; to: bigint | undefined }

function isWithin(column: string, window: Window): Condition {
  return {
    columns: [column],
    mayMatch: (stats) => overlaps(stats(column), window),
    matches: ([time]) => contains(window, time),
  }
}

/** Jobs that never ended go by their last event. */
const endsWithin = (window: Window): Condition => ({
  columns: ['ended_at', 'last_event_at'],
  mayMatch: (stats) => {
    const ends = stats('ended_at')
    return !ends || ends.nulls > 0 || overlaps(ends, window)
  },
  matches: ([ended, last]) => contains(window, ended ?? last),
})

function overlaps(stats: ColumnStats | undefined, { from, to }: Window): boolean {
  if (typeof stats?.min !== 'bigint' || typeof stats.max !== 'bigint') return true
  return (from === undefined || stats.max >= from) && (to === undefined || stats.min < to)
}

const contains = ({ from, to }: Window, time: ParquetValue | undefined): boolean =>
  typeof time === 'bigint' &&
  (from === undefined || time >= from) &&
  (to === undefined || time < to)
