import { isPartial } from '../../src/core/completeness.ts'
import type { Event } from '../../src/core/event.ts'
import { readFact } from '../../src/core/facts.ts'
import { addHistograms, nearestRank, toBin, toHistogramText } from '../../src/core/histogram.ts'
import {
  type Attempt,
  type Completeness,
  type Job,
  type JobFilter,
  type JobPage,
  type JobReader,
  type JobStatus,
  type StoredEvent,
  sortByIds,
  statuses,
} from '../../src/core/job.ts'
import { matchesFilter, sortTime } from '../../src/core/job-filter.ts'
import {
  comparePlaces,
  type ListPage,
  type Omissions,
  type Order,
  type Place,
  placeOf,
} from '../../src/core/list-order.ts'
import { must } from '../../src/core/must.ts'
import type { App } from '../../src/core/questions/apps.ts'
import {
  type CauseCount,
  type CauseFact,
  type CausesFilter,
  compareCauses,
} from '../../src/core/questions/causes.ts'
import type { Orphans } from '../../src/core/questions/orphans.ts'
import type { Question } from '../../src/core/questions/question.ts'
import type { Running } from '../../src/core/questions/running.ts'
import type { Source, SourceFilter } from '../../src/core/questions/sources.ts'
import type { StatsFilter, StatsRow } from '../../src/core/questions/stats.ts'
import { skewLimitS } from '../../src/core/sender-clocks.ts'
import { lagLimitS } from '../../src/core/source-state.ts'
import { fromMs, type Micros, toMs } from '../../src/core/time.ts'

/** The data of an array-backed reader. Tests change it while it is being read. */
export type World = {
  jobs: Job[]
  subjobs: Job[]
  events: Map<string, StoredEvent[]>
  /** Attempts by job; of the others one, made from the job. */
  attempts?: Map<string, Attempt[]>
  sources: Source[]
  completeness: Partial<Completeness>
  /** Maximum items in a page of a list; all unless given. */
  listPage?: number
  /** The outcome per site that a central API adds. */
  sites?: JobPage['sites']
  /** What the answer to a question lacks, by its name. */
  omissions?: Record<string, Omissions>
  now: () => Micros
  /** What answers each question of `core/questions`, by its name. */
  answers: Record<string, (world: World, params: never) => readonly unknown[]>
}

export function emptyWorld(now: () => Micros): World {
  const answers = {
    apps: listApps,
    causes: countCauses,
    orphans: countOrphans,
    running: countRunning,
    sources: listSources,
    stats: findStats,
  }
  return { jobs: [], subjobs: [], events: new Map(), sources: [], completeness: {}, now, answers }
}

/** Of a job that was tried once. */
const attemptOf = (job: Job): Attempt => ({
  attempt: job.attempt,
  status: job.status,
  queuedAt: job.queuedAt,
  queueS: job.queueS,
  startedAt: job.startedAt,
  endedAt: job.endedAt,
  durationS: job.durationS,
  exitCode: readFact(job.metadata.exit_code) ?? null,
  lastError: job.lastError,
})

/** A JobReader over arrays: what the store does, without the store. */
export function arrayReader(world: World): JobReader {
  const inJob = (id: string) => world.subjobs.filter(({ parentId }) => parentId === id)
  return {
    findJobs: async (filter) => pageOf(world, world.jobs, filter),
    findSubjobs: async (filter) =>
      pageOf(
        world,
        filter.jobId
          ? inJob(filter.jobId)
          : filter.parent === 'missing'
            ? orphansOf(world)
            : world.subjobs,
        filter,
      ),
    getJob: async (id) => {
      const job = [...world.jobs, ...world.subjobs].find((one) => one.id === id)
      if (!job) return undefined
      const count = (status: string) => inJob(id).filter((one) => one.status === status).length
      const counts = Object.fromEntries(statuses.map((status) => [status, count(status)]))
      return {
        job,
        subjobs: { total: inJob(id).length, ...counts } as never,
        attempts: world.attempts?.get(id) ?? [attemptOf(job)],
      }
    },
    getJobs: async (ids) => sortByIds([...world.jobs, ...world.subjobs], ids),
    findEvents: async (id, { order, kinds, status, limit, after }) => {
      const told = (world.events.get(id) ?? []) as unknown as Event[]
      const wanted = told.filter(
        ({ event }) =>
          (kinds?.includes(event.kind) ?? true) && (status?.includes(saidStatus(event)) ?? true),
      )
      const all = order === 'desc' ? wanted.toReversed() : wanted
      const places = all.map((event) => ({
        at: event.event.at,
        key: event.idempotency_key,
      }))
      const from = after ? places.findIndex(({ key }) => key === after.key) + 1 : 0
      const items = all.slice(from, from + limit) as unknown as StoredEvent[]
      const isMore = from + limit < all.length
      return { items, next: isMore ? (places[from + limit - 1] ?? null) : null }
    },
    ask: async (question, params) => pageOfList(world, question, params).items,
    askPage: async (question, params, _signal, after) => pageOfList(world, question, params, after),
  }
}

const saidStatus = ({ kind, status }: Event['event']) => status ?? implied[kind] ?? 'running'

const implied: { [kind: string]: JobStatus | undefined } = {
  ...{ finished: 'succeeded', canceled: 'canceled', queued: 'queued' },
}

function pageOfList<Params, Item>(
  world: World,
  { name, order, limitOf }: Question<Params, Item>,
  params: Params,
  after?: Place,
): ListPage<Item> {
  const answer = must(world.answers[name], `the world has an answer to ${name}`)
  const all = [...answer(world, params as never)] as Item[]
  if (!order) {
    const partial = isPartial(completenessOf(world))
    return { items: all, next: null, partial, ...world.omissions?.[name] }
  }
  const most = Math.min(limitOf?.(params) ?? Infinity, world.listPage ?? Infinity)
  return listFrom(order, all, after, most)
}

/** @param most items of a page */
function listFrom<Item>(
  order: Order<Item>,
  all: readonly Item[],
  after: Place | undefined,
  most: number,
): ListPage<Item> {
  const compare = (a: Item, b: Item) => comparePlaces(order, placeOf(order, a), placeOf(order, b))
  const rest = all
    .toSorted(compare)
    .filter((item) => !after || comparePlaces(order, placeOf(order, item), after) > 0)
  const items = rest.slice(0, most)
  const last = items.length < rest.length ? items.at(-1) : undefined
  return { items, next: last ? placeOf(order, last) : null }
}

function pageOf(world: World, jobs: Job[], filter: JobFilter): JobPage {
  const sign = filter.order === 'desc' ? -1 : 1
  const keyOf = (job: Job) => `${sortTime(job, filter.time)} ${job.id}`
  const after = filter.cursor && `${filter.cursor.at} ${filter.cursor.id}`
  const found = jobs
    .filter((job) => matchesFilter(job, filter))
    .sort((a, b) => sign * (keyOf(a) < keyOf(b) ? -1 : 1))
    .filter((job) => after === undefined || sign * (keyOf(job) < after ? -1 : 1) > 0)
    .filter((job) => keyOf(job) !== after)
  const items = found.slice(0, filter.limit)
  const last = items.at(-1)
  const more = found.length > items.length && last
  return {
    items,
    nextCursor: more ? { at: sortTime(last, filter.time)!, id: last.id } : null,
    ...(filter.flags
      ? {
          total: { count: jobs.filter((job) => matchesFilter(job, filter)).length, complete: true },
        }
      : {}),
    completeness: completenessOf(world),
    ...(world.sites ? { sites: world.sites } : {}),
  }
}

const completenessOf = (world: World): Completeness => ({
  asOf: world.now(),
  sources: world.sources.length,
  sourcesReporting: inState(world, 'reporting').length,
  sourcesSilent: inState(world, 'silent').length,
  sourcesGone: inState(world, 'gone').length,
  silentSources: inState(world, 'silent').map(({ id }) => id),
  waiting: inState(world, 'reporting').reduce((sum, { waiting }) => sum + (waiting ?? 0), 0),
  missing: world.sources.reduce((sum, { missing }) => sum + missing, 0),
  gaps: world.sources.flatMap(({ gaps }) => gaps),
  oldestSourceAgeS: null,
  skewedSources: [],
  hotFrom: null,
  archive: 'off',
  archiveSearchedFrom: null,
  archiveMissing: [],
  ...world.completeness,
})

const inState = ({ sources }: World, wanted: Source['state']) =>
  sources.filter(({ state }) => state === wanted)

function listSources({ sources }: World, filter: SourceFilter): readonly Source[] {
  const { trouble } = filter
  return sources.filter(
    (one) => !trouble || one.state === 'silent' || one.missing > 0 || isOff(one),
  )
}

const isOff = ({ clockOffsetS, lagS, reused }: Source) =>
  Math.abs(clockOffsetS) > skewLimitS || (lagS ?? 0) > lagLimitS || reused > 0

function orphansOf({ jobs, subjobs }: World): Job[] {
  const known = new Set([...jobs, ...subjobs].map(({ id }) => id))
  return subjobs.filter(({ parentId }) => !known.has(parentId ?? ''))
}

const countOrphans = (world: World): Orphans[] =>
  [...Map.groupBy(orphansOf(world), ({ appName }) => appName)].map(([appName, found]) => ({
    siteId: must(found[0], 'a group has a member').siteId,
    appName,
    subjobs: found.length,
    newestStartedAt: must(
      found
        .map(({ startedAt }) => startedAt)
        .sort()
        .at(-1),
      'likewise',
    ),
  }))

/** By every fact, read naively; of the texts of errors only single numbers are left out. */
function countCauses({ jobs }: World, filter: CausesFilter): CauseCount[] {
  const ended = jobs.filter(
    ({ status, endedAt }) =>
      status !== 'unknown' && endedAt !== null && endedAt >= filter.from && endedAt < filter.to,
  )
  const counts = new Map<string, CauseCount>()
  for (const { status, endedAt, siteId, appName, appVersion, lastError, metadata } of ended) {
    const failed = status === 'failed'
    const read = (name: string) => metadata[name] as string | undefined
    const shared: [fact: CauseFact, value: string | undefined, of?: string | undefined][] = [
      ['all', ''],
      ['site', siteId],
      ['app', appName],
      ['version', appVersion, appName],
      ['tool', read('tool')],
      ['chamber', read('chamber'), read('tool')],
      ['recipe', read('recipe')],
      ['host', read('host')],
      ['error_type', read('error_type')],
      ['exit_code', read('exit_code')],
      ['queue', read('queue')],
      ['priority', read('priority')],
      ['error', failed ? lastError?.replaceAll(/(?<![\w-])\d[0-9a-f]*\b/g, '#') : undefined],
    ]
    for (const [fact, value, of = null] of shared) {
      if (value === undefined || (value === '' && fact !== 'all')) continue
      const key = JSON.stringify([fact, value, of])
      const none = { ended: 0, failed: 0, recentEnded: 0, recentFailed: 0 }
      const count = counts.get(key) ?? { fact, value, of, ...none }
      counts.set(key, count)
      const recent = (endedAt ?? '') >= filter.recentFrom
      count.ended++
      if (failed) count.failed++
      if (recent) count.recentEnded++
      if (recent && failed) count.recentFailed++
    }
  }
  return [...counts.values()]
    .filter(({ fact, failed }) => fact === 'all' || failed >= filter.minFailed)
    .sort(compareCauses)
}

const listApps = ({ jobs }: World, { site }: { site?: string }): App[] =>
  [...new Map(jobs.map((job) => [job.appName, job])).values()]
    .filter(({ siteId }) => site === undefined || siteId === site)
    .map((job) => ({
      appId: job.appId,
      name: job.appName,
      version: job.appVersion,
      siteId: job.siteId,
      firstSeenAt: job.insertedAt,
      lastSeenAt: job.updatedAt,
    }))

function countRunning({ jobs }: World, { site, appName, exactApp }: Partial<JobFilter>): Running[] {
  const wanted: JobFilter = { site, appName, exactApp, status: ['running'], ...newest }
  const late: JobFilter = { ...wanted, status: ['queued'], flags: ['late'] }
  const found = jobs.filter((job) => matchesFilter(job, wanted) || matchesFilter(job, late))
  const count = (of: readonly Job[], is: (job: Job) => boolean) => of.filter(is).length
  const runs = ({ status }: Job) => status === 'running'
  return [...Map.groupBy(found, ({ siteId }) => siteId)].map(([siteId, all]) => ({
    siteId,
    running: count(all, runs),
    lost: count(all, ({ lost }) => lost),
    stuck: count(all, ({ stuck }) => stuck),
    late: count(all, ({ late }) => late),
    lateQueued: count(all, (job) => !runs(job)),
    flagged: count(all, ({ lost, stuck, late }) => lost || stuck || late),
    lostNotJudged: count(
      all.filter(runs),
      ({ usual, metadata }) => !usual && metadata.heartbeat_s === undefined,
    ),
    stuckNotJudged: count(
      all.filter(runs),
      ({ usual, lost, metadata }) => !usual && !lost && metadata.max_duration_s === undefined,
    ),
    complete: true,
  }))
}

const newest = { time: 'active', order: 'desc', limit: 1 } as const

const dayMs = 86_400_000
const bucketMs = { '5m': 300_000, hour: 3_600_000, day: dayMs, week: 7 * dayMs }

/** Weeks begin on Monday: 1970 did on a Thursday. */
export function startOfBucket(at: string, bucket: StatsFilter['bucket']): string {
  if (bucket === 'month') return `${at.slice(0, 7)}-01T00:00:00.000000Z`
  const offset = bucket === 'week' ? 4 * dayMs : 0
  const width = bucketMs[bucket]
  return fromMs(Math.floor((toMs(at) - offset) / width) * width + offset)
}

function findStats({ jobs }: World, filter: StatsFilter): StatsRow[] {
  const groups = new Map<string, Job[]>()
  const wanted: JobFilter = { ...filter, time: filter.time ?? 'started', order: 'desc', limit: 1 }
  for (const job of jobs.filter((one) => matchesFilter(one, wanted))) {
    const bucket = startOfBucket(sortTime(job, wanted.time) ?? '', filter.bucket)
    const key = JSON.stringify([
      bucket,
      filter.groupBy.includes('app') ? job.appName : null,
      filter.groupBy.includes('status') ? job.status : null,
    ])
    groups.set(key, [...(groups.get(key) ?? []), job])
  }
  return [...groups].map(([key, members]) => {
    const [bucket, appName, status] = JSON.parse(key)
    const took = members.flatMap(({ durationS }) => durationS ?? []).sort((a, b) => a - b)
    const at = (share: number) => nearestRank(took, share)
    const waited = members.flatMap(({ queueS }) => queueS ?? []).sort((a, b) => a - b)
    const atQueue = (share: number) => nearestRank(waited, share)
    const histogramOf = (some: number[]) =>
      toHistogramText(addHistograms(some.map((s) => `${toBin(s)}:1`)))
    return {
      bucket,
      siteId: null,
      appName,
      status,
      count: members.length,
      durationAvgS: took.length === 0 ? null : took.reduce((a, b) => a + b) / took.length,
      durationMinS: at(0),
      durationMaxS: at(1),
      durationP50S: at(0.5),
      durationP95S: at(0.95),
      durationP99S: at(0.99),
      failedAttempts: members.reduce((sum, { failedAttempts }) => sum + failedAttempts, 0),
      queueP50S: atQueue(0.5),
      queueP95S: atQueue(0.95),
      queueP99S: atQueue(0.99),
      ...(filter.histogram
        ? { durationHistogram: histogramOf(took), queueHistogram: histogramOf(waited) }
        : {}),
    }
  })
}
