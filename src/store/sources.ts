import type { Completeness, Gap } from '../core/job.ts'
import { must } from '../core/must.ts'
import type { Source } from '../core/questions/sources.ts'
import type { Micros } from '../core/time.ts'
import type { Sql, Store } from './connect.ts'

const table = 'source'
/** Maximum gaps listed of one source, oldest first; a spool that lost more needs an operator. */
const maxGaps = 100
/** Maximum epochs in one list. */
const maxListed = 10_000

type SourceRow = Omit<Source, 'gaps'> & { gaps: { from: number; to: number }[] | null }

/*
 * A sidecar that works off a backlog delivers two batches side by side, and the later numbers may
 * arrive first. So while it catches up, this many of its newest numbers are on the way when they are
 * skipped, not missing: until it is silent for this long, or its lag is below this.
 */
const onTheWay = { numbers: 40_000, silentS: 10, lagS: 0.2 }

/**
 * Every spool that ever delivered, by id; of one id the newest first. A sidecar has an epoch for each of
 * its starts: when there are too many to list, it is old epochs that are left out, and no sidecar.
 */
export const listSources = (store: Store, signal?: AbortSignal): Promise<Source[]> =>
  findSources(store, 'listSources', (sql) => sql`not isempty(received)`, signal)

/** Maximum time from the beginning of a commit, by which it is dated, to its end. */
const longestCommit = '10 minutes'

/** Those that delivered since a time, and maybe a few that did shortly before. */
const listRecentSources = (store: Store, since: Micros): Promise<Source[]> =>
  findSources(
    store,
    'listRecentSources',
    (sql) =>
      sql`not isempty(received) and last_stored_at > ${since}::timestamptz - ${longestCommit}::interval`,
  )

type Condition = (sql: Sql) => ReturnType<Sql>

async function findSources(
  store: Store,
  operation: string,
  condition: Condition,
  signal?: AbortSignal,
): Promise<Source[]> {
  const rows = await store.ask<SourceRow[]>(
    { operation, table },
    (sql) => sql`
      /* sources.list */
      select source_id as id, epoch, upper(received) - 1 as last_seq,
        (select sum(upper(r) - lower(r)) from unnest(received) r)::int8 as received,
        (select coalesce(sum(upper(r) - lower(r)), 0) from unnest(reused) r)::int8 as reused,
        (select jsonb_agg(jsonb_build_object('from', lower(g), 'to', upper(g) - 1)) from (
          select g from unnest(int8multirange(int8range(1, greatest(1, upper(received)
            - case when lag_s > ${onTheWay.lagS}
                and last_stored_at > now() - make_interval(secs => ${onTheWay.silentS})
              then ${onTheWay.numbers} else 0 end))) - received) g limit ${maxGaps}) g) as gaps,
        last_stored_at as last_seen_at, last_at, lag_s, clock_offset_s
      from (
        select * from source where ${condition(sql)}
        order by row_number() over (partition by source_id order by last_stored_at desc) > 1,
          last_stored_at desc
        limit ${maxListed}) listed
      order by source_id, last_stored_at desc`,
    signal,
  )
  return rows.map((row) => ({
    ...row,
    gaps: (row.gaps ?? []).map((gap) => ({ source: row.id, ...gap })),
  }))
}

export type CompletenessOptions = {
  /** `off` when there is no archive. */
  archive: 'available' | 'off'
  /** A clock that is off by more is named, in seconds. */
  skewLimitS: number
  /** Age up to which an answer is used again, in milliseconds. */
  maxAgeMs: number
  /** For tests. */
  allEveryMs?: number
}

/** Maximum gaps named in the answer to a list. */
const maxGapsInAnswer = 20

/** Between two looks at all epochs, in milliseconds. */
const standardAllEveryMs = 60_000

/**
 * The completeness of every answer of this store. Every list carries it and it is the same for all,
 * so one question is shared by all that wait, and its answer by those that follow soon.
 *
 * There are a hundred times as many epochs as sidecars, and nearly all of them are complete and will
 * never change. So all are looked at once a minute; in between, only those that delivered since.
 */
export class CompletenessCache {
  readonly #store: Store
  readonly #options: CompletenessOptions
  #answer: Completeness | undefined
  #askedAt = -Infinity
  #asking: Promise<Completeness> | undefined
  /** What matters of all epochs, as of a time of the database. */
  #known: { sources: readonly Source[]; asOf: Micros; atMs: number } | undefined

  constructor(store: Store, options: CompletenessOptions) {
    this.#store = store
    this.#options = options
  }

  async get(): Promise<Completeness> {
    const fresh = performance.now() - this.#askedAt < this.#options.maxAgeMs
    if (this.#answer && fresh) return this.#answer
    // Not with a caller's signal: the answer is for all that wait.
    this.#asking ??= this.#ask().finally(() => {
      this.#asking = undefined
    })
    return this.#asking
  }

  async #ask(): Promise<Completeness> {
    const askedAt = performance.now()
    const sources = await this.#sources(askedAt)
    const [now] = await this.#store.ask<{ asOf: Micros; hotFrom: Micros | null }[]>(
      { operation: 'readHorizon', table: 'horizon' },
      (sql) => sql`
        /* sources.hotFrom */
        select clock_timestamp() as as_of, nullif(jobs_from, '-infinity') as hot_from from horizon`,
    )
    const { asOf, hotFrom } = must(now, 'the horizon is one row')
    const { archive, skewLimitS } = this.#options
    this.#known ??= { sources, asOf, atMs: askedAt }
    this.#answer = { ...summarizeSources(sources, asOf, skewLimitS), hotFrom, archive }
    this.#askedAt = askedAt
    return this.#answer
  }

  async #sources(nowMs: number): Promise<readonly Source[]> {
    const { allEveryMs = standardAllEveryMs } = this.#options
    if (this.#known && nowMs - this.#known.atMs >= allEveryMs) this.#known = undefined
    if (!this.#known) return keepOpen(await listSources(this.#store))
    const recent = await listRecentSources(this.#store, this.#known.asOf)
    return keepOpen([...recent, ...this.#known.sources])
  }
}

/**
 * The sources without what an answer does not depend on: epochs that are complete and followed by
 * another, and epochs with gaps beyond those that it names. Of two rows of one epoch the first counts.
 * By id, of one id the newest first.
 */
export function keepOpen(sources: readonly Source[]): Source[] {
  const all = new Map<string, Source>()
  const newest = new Map<string, Source>()
  for (const source of sources) {
    const name = JSON.stringify([source.id, source.epoch])
    if (all.has(name)) continue
    all.set(name, source)
    if (isNewer(source, newest.get(source.id))) newest.set(source.id, source)
  }
  const isNewest = (source: Source) => newest.get(source.id) === source
  const open = [...all.values()].filter((source) => source.gaps.length > 0 || isNewest(source))
  open.sort((a, b) => order(a.id, b.id) || order(b.lastSeenAt, a.lastSeenAt))
  let older = 0
  return open.filter((source) => isNewest(source) || older++ < maxGapsInAnswer)
}

const isNewer = ({ lastSeenAt }: Source, than: Source | undefined) =>
  !than || lastSeenAt > than.lastSeenAt

const order = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0)

type Summary = Omit<Completeness, 'hotFrom' | 'archive'>

/** Of several spools of one source only the newest still delivers; all of them can have gaps. */
export function summarizeSources(
  sources: readonly Source[],
  asOf: Micros,
  skewLimitS: number,
): Summary {
  const newest = new Map<string, Source>()
  for (const source of sources) {
    if (isNewer(source, newest.get(source.id))) newest.set(source.id, source)
  }
  const speaking = [...newest.values()]
  const ages = speaking.map(({ lastSeenAt }) => (Date.parse(asOf) - Date.parse(lastSeenAt)) / 1000)
  const gaps: Gap[] = sources.flatMap((source) => source.gaps)
  return {
    asOf,
    sources: speaking.length,
    gaps: gaps.slice(0, maxGapsInAnswer),
    oldestSourceAgeS: ages.length > 0 ? Math.max(0, ...ages) : null,
    skewedSources: speaking
      .filter(({ clockOffsetS }) => Math.abs(clockOffsetS) > skewLimitS)
      .map(({ id }) => id),
  }
}
