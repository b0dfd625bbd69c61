import type { Completeness, Gap } from '../core/job.ts'
import { must } from '../core/must.ts'
import { skewLimitS } from '../core/sender-clocks.ts'
import type { Micros } from '../core/time.ts'
import type { Metrics } from '../platform/metrics.ts'
import type { Store } from './connect.ts'
import { stateSql } from './source-state.ts'
import { clocksSql, gapsSql, missingSql } from './sources.ts'

export type CompletenessOptions = {
  /** `off` when there is no archive. */
  archive: 'available' | 'off'
  /** Age up to which an answer is used again, in milliseconds. */
  maxAgeMs: number
}

/** Maximum gaps, and sources of a kind, named in the answer to a list. */
const maxNamed = 20
/** An answer is used while the next one is asked for until it is this many times its age. */
const lateTimes = 5

/**
 * The completeness of every answer of this store. Every list carries it and it is the same for all,
 * so one question is shared by all that wait, and its answer by those that follow soon. While lists are asked for
 * all the time, none of them waits for it: it is asked for again while the last one is still used, and says
 * as of when it is.
 */
export class CompletenessCache {
  readonly #store: Store
  readonly #options: CompletenessOptions
  #answer: Known | undefined
  #askedAt = -Infinity
  #asking: Promise<Known> | undefined

  constructor(store: Store, options: CompletenessOptions) {
    this.#store = store
    this.#options = options
  }

  /** Of lists of jobs. */
  async get(): Promise<Completeness> {
    return (await this.#known()).ofJobs
  }

  /** Of the events of a job: they leave the hot store earlier. */
  async ofEvents(): Promise<Completeness> {
    const { ofJobs, eventsFrom } = await this.#known()
    return { ...ofJobs, hotFrom: eventsFrom }
  }

  async #known(): Promise<Known> {
    const { maxAgeMs } = this.#options
    const ageMs = performance.now() - this.#askedAt
    if (this.#answer && ageMs < maxAgeMs) return this.#answer
    // Not with a caller's signal: the answer is for all that wait.
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    if (!this.#answer || ageMs >= lateTimes * maxAgeMs) return this.#asking
    this.#asking.catch(() => {})
    return this.#answer
  }

  async #ask(): Promise<Known> {
    const askedAt = performance.now()
    const { eventsFrom, ...known } = await readCompleteness(this.#store)
    const unsearched = { archiveSearchedFrom: null, archiveMissing: [] }
    const ofJobs = { ...known, archive: this.#options.archive, ...unsearched }
    this.#answer = { ofJobs, eventsFrom }
    this.#askedAt = askedAt
    return this.#answer
  }
}

/** Sets the gauges of the sources; as they were when the database does not answer. */
export async function setSourceMetrics(metrics: Metrics, store: Store): Promise<void> {
  const known = await readCompleteness(store).catch(() => undefined)
  if (!known) return
  metrics.sources.set(known.sources)
  metrics.sourceSilent.set(known.sourcesSilent)
  metrics.sourceWaiting.set(known.waiting)
  metrics.sourceMissing.set(known.missing)
}

/** What the database tells; `eventsFrom` is the start of the raw events. */
type Told = Omit<Completeness, 'archive' | 'archiveSearchedFrom' | 'archiveMissing'> & {
  eventsFrom: Micros | null
}
type Known = { ofJobs: Completeness; eventsFrom: Micros | null }
type Row = Omit<Told, 'gaps'> & { gaps: Gap[] | null }

/**
 * One statement. Gaps are read from rows that have any, by an index; of each of them only the ranges that are kept with
 * the row. The rest is a count over the sidecars that have not retired.
 */
async function readCompleteness(store: Store): Promise<Told> {
  const [row] = await store.ask<Row[]>(
    { operation: 'readCompleteness', table: 'source' },
    (sql) => sql`
      /* sources.completeness */
      with t as (
        select t.*, ${stateSql(sql)} as state, s.last_stored_at, s.clock_offset_s, s.clock_of
        from source_state t
        left join source s on s.source_id = t.source_id and s.epoch = t.epoch
        where t.retired_at is null),
      told as (
        select t.source_id, t.state, t.waiting, t.heard_at,
          greatest(t.heard_at, t.delivered_at, t.last_stored_at) as word_at,
          greatest(abs(c.own), abs(c.sender)) > ${skewLimitS} as is_skewed
        from t left join lateral (${clocksSql(sql, 't')}) c on true),
      lossy as (
        select s.source_id, ${gapsSql(sql)} as gaps from source s
        where s.missing > 0 and ${missingSql(sql)} > 0 limit ${maxNamed})
      select clock_timestamp() as as_of,
        (select nullif(jobs_from, '-infinity') from horizon) as hot_from,
        (select nullif(dropped_before, '-infinity') from horizon) as events_from,
        count(*)::int as sources,
        (count(*) filter (where state = 'reporting'))::int as sources_reporting,
        (count(*) filter (where state = 'gone'))::int as sources_gone,
        (count(*) filter (where state = 'silent'))::int as sources_silent,
        coalesce((array_agg(source_id order by heard_at desc) filter (where state = 'silent'))[1:${maxNamed}],
          '{}') as silent_sources,
        coalesce(sum(waiting) filter (where state = 'reporting'), 0)::int8 as waiting,
        coalesce((array_agg(source_id order by source_id) filter (where is_skewed))[1:${maxNamed}],
          '{}') as skewed_sources,
        (extract(epoch from clock_timestamp() - min(word_at) filter (where state <> 'gone')))::float8
          as oldest_source_age_s,
        (select coalesce(sum(${missingSql(sql)}), 0)::int8 from source s where s.missing > 0)
          as missing,
        (select jsonb_agg(g) from (
          select jsonb_build_object('source', source_id, 'from', lower(g), 'to', upper(g) - 1) as g
          from lossy, unnest(gaps) g limit ${maxNamed}) g) as gaps
      from told`,
  )
  const { gaps, oldestSourceAgeS, ...rest } = must(row, 'counts are one row')
  return {
    ...rest,
    gaps: gaps ?? [],
    oldestSourceAgeS: oldestSourceAgeS === null ? null : Math.max(0, oldestSourceAgeS),
  }
}
