import { estimateBytes } from '../core/answer-size.ts'
import type { AttemptEntries } from '../core/attempt-entry.ts'
import { entryFromSlots, listAttempts } from '../core/attempts.ts'
import { isPartial } from '../core/completeness.ts'
import { AppError } from '../core/errors.ts'
import {
  type Completeness,
  type Job,
  type JobDetail,
  type JobFilter,
  type JobPage,
  type JobReader,
  type JobStatus,
  maxJobIds,
  type SubjobCounts,
  sortByIds,
  statuses,
} from '../core/job.ts'
import { sortTime } from '../core/job-filter.ts'
import { ensure, must } from '../core/must.ts'
import type { Slots } from '../core/slots.ts'
import type { Micros } from '../core/time.ts'
import { clock } from '../platform/clock.ts'
import { answerQuestion } from './answers.ts'
import { Baselines } from './baselines.ts'
import { CompletenessCache } from './completeness.ts'
import type { Store } from './connect.ts'
import type { Sql } from './driver.ts'
import { findEvents } from './events.ts'
import { entryColumns } from './ingest-sql.ts'
import {
  asJobRows,
  type JobRow,
  type JobTable,
  jobColumnsSql,
  jobFromRow,
  rowLength,
} from './job-rows.ts'
import type { Fragment } from './job-walks.ts'
import { findRows } from './jobs.ts'
import { Page, readPage } from './page.ts'

export type ReaderOptions = {
  /** `off` when there is no archive; `available` unless given. */
  archive?: 'available' | 'off'
  /** How long completeness and baselines are kept in memory, in milliseconds. */
  maxAgeMs?: { completeness?: number; baselines?: number }
  now?: () => Micros
}

/** The hot store as a JobReader, and what its answers may lack. */
export type StoreReader = JobReader & { readCompleteness(): Promise<Completeness> }

/**
 * The hot store as a JobReader. Give it a store of its own with a `timeoutS`: a question that takes
 * longer ends with AppError overloaded, and ingest does not wait for it in the pool.
 */
export function storeReader(store: Store, options: ReaderOptions = {}): StoreReader {
  const now = options.now ?? (() => clock.now())
  const baselines = new Baselines(store, options.maxAgeMs?.baselines)
  const completeness = new CompletenessCache(store, {
    archive: options.archive ?? 'available',
    maxAgeMs: options.maxAgeMs?.completeness ?? 1000,
  })

  async function page(table: JobTable, filter: JobFilter, signal: AbortSignal): Promise<JobPage> {
    signal.throwIfAborted()
    await baselines.refresh()
    // Before the rows: they must have everything that it calls complete.
    const known = await completeness.get()
    const found = await findRows(store, baselines, { table, filter, now: now() }, signal)
    const last = found.more ? found.items.at(-1) : undefined
    return {
      items: found.items,
      nextCursor: last ? { at: timeInList(last, filter), id: last.id } : null,
      completeness: known,
      ...(found.total ? { total: found.total } : {}),
    }
  }

  const askPage: JobReader['askPage'] = async (question, params, signal, after) => {
    // Lists in pages are of what there is, not counts of jobs.
    if (question.order) return answerQuestion(store, question, params, { signal, after })
    // Before the counts, as with lists of jobs.
    const partial = isPartial(await completeness.get())
    return { ...(await answerQuestion(store, question, params, { signal, after })), partial }
  }
  const toJob = (row: JobRow) => jobFromRow(row, baselines, now())

  return {
    findJobs: (filter, signal) => page('job', filter, signal),
    findSubjobs: (filter, signal) => page('subjob', filter, signal),
    getJob: async (id, signal) => {
      await baselines.refresh()
      const [[found], subjobs, known] = await Promise.all([
        readJobs(store, [id], signal, {
          operation: 'getJob',
          toItem: (row) => toDetail(row, toJob(row.slice(0, rowLength) as JobRow)),
          sizeOf: ({ job }) => estimateBytes(job),
          more: attemptsSql,
        }),
        countSubjobs(store, id, signal),
        completeness.get(),
      ])
      return found && { ...found, subjobs, completeness: known }
    },
    getJobs: async (ids, signal) => {
      ensure(ids.length <= maxJobIds, `a question about jobs is for at most ${maxJobIds} ids`)
      if (ids.length === 0) return []
      await baselines.refresh()
      const asked = { operation: 'getJobs', toItem: toJob, sizeOf: estimateBytes } as const
      return sortByIds(await readJobs(store, ids, signal, asked), ids)
    },
    findEvents: async (id, filter, signal) => {
      const known = await completeness.ofEvents()
      return { ...(await findEvents(store, id, filter, signal)), completeness: known }
    },
    readCompleteness: () => completeness.get(),
    ask: async (question, params, signal) => (await askPage(question, params, signal)).items,
    askPage,
  }
}

const timeInList = (job: Job, { time }: JobFilter): Micros =>
  must(sortTime(job, time), 'a list by the end holds only jobs that ended')

/** What makes the attempts of a job, after the columns of its row. */
const attemptsSql = (sql: Sql): Fragment => sql`, attempts, ${sql(entryColumns)}`

function toDetail(row: JobRow, job: Job): Omit<JobDetail, 'subjobs'> {
  const [earlier, ...own] = (row as unknown[]).slice(rowLength)
  const slots = Object.fromEntries(entryColumns.map((name, i) => [name, own[i] ?? undefined]))
  const current = entryFromSlots(slots as Slots)
  return { job, attempts: listAttempts(job, current, earlier as AttemptEntries | null) }
}

type AskedJobs<Item> = {
  operation: 'getJob' | 'getJobs'
  toItem: (row: JobRow) => Item
  sizeOf: (item: Item) => number
  /** Columns after those of a row. */
  more?: (sql: Sql) => Fragment
}

/**
 * One primary key probe in each table for each id.
 *
 * @throws AppError invalid when they are larger than a page; one alone never is
 */
async function readJobs<Item>(
  store: Store,
  ids: readonly string[],
  signal: AbortSignal,
  { operation, toItem, sizeOf, more }: AskedJobs<Item>,
): Promise<Item[]> {
  const { items, more: isMore } = await readPage(
    store,
    { operation, table: 'job' },
    (sql) => {
      const of = (table: JobTable) => sql`
        select ${jobColumnsSql(sql, table)}${more ? more(sql) : sql``} from ${sql(table)}
        where ${sql(`${table}_id`)} = any(${[...ids]}::uuid[])`
      return asJobRows(sql`
        /* reader.${sql.unsafe(operation)} */ ${of('job')} union all ${of('subjob')}`)
    },
    new Page({ limit: 2 * ids.length, toItem, sizeOf }),
    signal,
  )
  if (!isMore) return items
  throw new AppError('too_large', 'id: these jobs are too large for one answer; ask for fewer', {
    field: 'id',
  })
}

/** The number of subjobs of a job by status. */
export async function countSubjobs(
  store: Store,
  jobId: string,
  signal: AbortSignal,
): Promise<SubjobCounts> {
  const rows = await store.ask<{ status: JobStatus; n: number }[]>(
    { operation: 'countSubjobs', table: 'subjob' },
    (sql) => sql`
      /* subjobs.count */
      select status, count(*) as n from subjob where parent_id = ${jobId} group by status`,
    signal,
  )
  const of = (status: JobStatus) => rows.find((row) => row.status === status)?.n ?? 0
  const counts = Object.fromEntries(statuses.map((status) => [status, of(status)]))
  return {
    ...(counts as Record<JobStatus, number>),
    total: rows.reduce((sum, { n }) => sum + n, 0),
  }
}
