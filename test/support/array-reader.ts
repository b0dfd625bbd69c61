import type { Event } from '../../src/core/event.ts'
import {
  type Completeness,
  type Job,
  type JobFilter,
  type JobPage,
  type JobReader,
  type StoredEvent,
  sortByIds,
  statuses,
} from '../../src/core/job.ts'
import { matchesFilter, sortTime } from '../../src/core/job-filter.ts'
import { must } from '../../src/core/must.ts'
import type { App } from '../../src/core/questions/apps.ts'
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
  sources: Source[]
  completeness: Partial<Completeness>
  /** The outcome per site that a central API adds. */
  sites?: JobPage['sites']
  now: () => Micros
  /** What answers each question of `core/questions`, by its name. */
  answers: Record<string, (world: World, params: never) => readonly unknown[]>
}

export function emptyWorld(now: () => Micros): World {
  const answers = { apps: listApps, sources: listSources, stats: findStats }
  return { jobs: [], subjobs: [], events: new Map(), sources: [], completeness: {}, now, answers }
}

/** A JobReader over arrays: what the store does, without the store. */
export function arrayReader(world: World): JobReader {
  const inJob = (id: string) => world.subjobs.filter(({ parentId }) => parentId === id)
  return {
    findJobs: async (filter) => pageOf(world, world.jobs, filter),
    findSubjobs: async (filter) =>
      pageOf(world, filter.jobId ? inJob(filter.jobId) : world.subjobs, filter),
    getJob: async (id) => {
      const job = [...world.jobs, ...world.subjobs].find((one) => one.id === id)
      if (!job) return undefined
      const count = (status: string) => inJob(id).filter((one) => one.status === status).length
      const counts = Object.fromEntries(statuses.map((status) => [status, count(status)]))
      return { job, subjobs: { total: inJob(id).length, ...counts } as never }
    },
    getJobs: async (ids) => sortByIds([...world.jobs, ...world.subjobs], ids),
    findEvents: async (id, limit, _signal, after) => {
      const all = world.events.get(id) ?? []
      const places = all.map((event) => ({
        at: (event as unknown as Event).event.at,
        key: (event as unknown as Event).idempotency_key,
      }))
      const from = after ? places.findIndex(({ key }) => key === after.key) + 1 : 0
      const items = all.slice(from, from + limit)
      const isMore = from + limit < all.length
      return { items, next: isMore ? (places[from + limit - 1] ?? null) : null }
    },
    ask: async ({ name }, params) => {
      const answer = must(world.answers[name], `the world has an answer to ${name}`)
      return [...answer(world, params as never)] as never
    },
  }
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
    completeness: {
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
      ...world.completeness,
    },
    ...(world.sites ? { sites: world.sites } : {}),
  }
}

const inState = ({ sources }: World, wanted: Source['state']) =>
  sources.filter(({ state }) => state === wanted)

function listSources({ sources }: World, filter: SourceFilter): readonly Source[] {
  const { trouble, after, limit } = filter
  return sources
    .filter((one) => !trouble || one.state === 'silent' || one.missing > 0 || isOff(one))
    .filter(({ id, epoch }) => !after || `${id}\0${epoch}` > `${after.id}\0${after.epoch}`)
    .slice(0, limit)
}

const isOff = ({ clockOffsetS, lagS, reused }: Source) =>
  Math.abs(clockOffsetS) > skewLimitS || (lagS ?? 0) > lagLimitS || reused > 0

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

const bucketMs = { '5m': 300_000, hour: 3_600_000, day: 86_400_000 }

function findStats({ jobs }: World, filter: StatsFilter): StatsRow[] {
  const groups = new Map<string, Job[]>()
  const wanted: JobFilter = { ...filter, time: 'started', order: 'desc', limit: 1 }
  for (const job of jobs.filter((one) => matchesFilter(one, wanted))) {
    const width = bucketMs[filter.bucket]
    const bucket = fromMs(Math.floor(toMs(job.startedAt) / width) * width)
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
    const at = (share: number) => took[Math.floor(share * (took.length - 1))] ?? null
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
    }
  })
}
