import { type JobFilter, type JobReader, timeFields } from '../../src/core/job.ts'
import { appsQuestion } from '../../src/core/questions/apps.ts'
import { causesQuestion, startRecent } from '../../src/core/questions/causes.ts'
import { orphansQuestion } from '../../src/core/questions/orphans.ts'
import { runningQuestion } from '../../src/core/questions/running.ts'
import { sourcesQuestion } from '../../src/core/questions/sources.ts'
import { type StatsFilter, statsQuestion } from '../../src/core/questions/stats.ts'
import { fromMs } from '../../src/core/time.ts'
import type { Store } from '../../src/store/connect.ts'

/** `lot` is the key of the job `parent`, which has subjobs. */
type Ids = { job: string; key: string; app: string; parent: string; lot: string }

export type Question = {
  name: string
  ask: (reader: JobReader, store: Store) => Promise<unknown>
  /** Days of jobs that it may look at, at most; 7 unless given. */
  days?: number
}

const { signal } = new AbortController()
const day = 86_400_000
const ago = (days: number) => fromMs(Date.now() - days * day)
const nowhere = 'ffffffff-ffff-4fff-8fff-ffffffffffff'

const list = (name: string, filter: Partial<JobFilter>, days?: number): Question => ({
  name,
  ...(days !== undefined && { days }),
  ask: (reader) =>
    reader.findJobs(
      { time: 'started', order: 'desc', limit: 100, from: ago(7), ...filter },
      signal,
    ),
})

/** Every question that the API, the dashboard and the maintenance ask of a full store. */
export function questions({ job, key, app, parent, lot }: Ids): Question[] {
  return [
    list('newest', {}),
    list('24 h', { from: ago(1) }, 1),
    list('a day of last month', { from: ago(31), to: ago(30) }, 1),
    list('oldest first', { order: 'asc' }),
    list('no window', { from: undefined }),
    list('failed', { status: ['failed'] }),
    list('failed, canceled', { status: ['failed', 'canceled'] }),
    list('succeeded', { status: ['succeeded'] }),
    list('succeeded, running', { status: ['succeeded', 'running'] }),
    list('running', { status: ['running'] }),
    list('failed, no window', { status: ['failed'], from: undefined }),
    list('app_name frequent', { appName: 'APP-00' }),
    list('app_name rare', { appName: 'app-39' }),
    list('app_name all', { appName: 'app-' }),
    list('app_name ten', { appName: 'app-1' }),
    list('app_name none', { appName: 'nothing' }),
    list('app_name retired', { appName: 'retired' }),
    list('app_name that never fails, failed', { appName: 'app-39', status: ['failed'] }),
    list('app_id', { appId: app }),
    list('app_id unknown', { appId: nowhere }),
    list('site', { site: 'fab2' }),
    list('site unknown', { site: 'fab9' }),
    list('business_key', { businessKey: key }),
    list('business_key none', { businessKey: 'none' }),
    list('business_key ended', { businessKey: key, time: 'ended' }),
    list('q frequent', { q: 'timeout' }),
    list('q rare', { q: key }),
    list('q none', { q: 'zzz' }),
    list('min_duration_s', { minDurationS: 500 }),
    list('min_duration_s none', { minDurationS: 5e6 }),
    list('max_duration_s', { maxDurationS: 6 }),
    list('ended', { time: 'ended' }),
    list('ended oldest', { time: 'ended', order: 'asc' }),
    list('ended failed', { time: 'ended', status: ['failed'] }),
    list('ended canceled rare app', { time: 'ended', status: ['canceled'], appName: 'app-39' }),
    list('ended running', { time: 'ended', status: ['running'] }),
    list('failed, canceled, ended', { time: 'ended', status: ['failed', 'canceled'] }),
    list('active', { time: 'active' }),
    list('active oldest', { time: 'active', order: 'asc' }),
    list('active, a day of last month', { time: 'active', from: ago(31), to: ago(30) }, 1),
    list('active 1 h', { time: 'active', from: ago(1 / 24) }, 1),
    list('active running', { time: 'active', status: ['running'] }),
    list('active failed', { time: 'active', status: ['failed'] }),
    list('active none', { time: 'active', minDurationS: 5e6 }),
    list('active q none', { time: 'active', q: 'zzz' }),
    list('active q a key', { time: 'active', q: key, from: ago(1 / 24) }, 1),
    list('active q an id', { time: 'active', q: job, from: ago(1 / 24) }, 1),
    list('active app', { time: 'active', appName: 'app-39' }),
    list('version none', { appVersion: 'none' }, 0),
    list('version none active', { time: 'active', appVersion: 'none' }, 1),
    list('version of all', { appVersion: '1.0' }),
    list('tool frequent', { facts: { tool: 'SCN-3' } }),
    list('recipe', { time: 'active', facts: { recipe: 'r7' } }),
    list('tool none', { time: 'active', facts: { tool: 'SCN-99' } }, 0),
    list('host none', { facts: { host: 'nowhere' } }, 0),
    list('chamber none', { facts: { chamber: 'Z' } }, 0),
    list('error_type none', { facts: { error_type: 'Nothing' } }, 0),
    list('tool ended', { time: 'ended', facts: { tool: 'SCN-3' }, status: ['failed'] }),
    list('exit_code none', { facts: { exit_code: '99' } }, 0),
    list('queue none', { facts: { queue: 'nowhere' } }, 0),
    list('priority none', { facts: { priority: 'none' } }, 0),
    list('tried again', { minAttempts: 2 }, 0),
    list('queued', { time: 'active', status: ['queued'] }, 0),
    list('unknown', { time: 'ended', status: ['unknown'] }, 0),
    stats('stats of a tool', { bucket: 'day', groupBy: ['status'], facts: { tool: 'SCN-3' } }),
    list('flag lost', { time: 'active', flags: ['lost'] }),
    list('flag any', { time: 'active', flags: ['stuck', 'lost', 'late'] }),
    { name: 'running', ask: (reader) => reader.ask(runningQuestion, {}, signal) },
    list('seen', { time: 'seen' }),
    list('seen oldest', { time: 'seen', order: 'asc' }),
    list('seen running', { time: 'seen', status: ['running'] }),
    list('seen none', { time: 'seen', minDurationS: 5e6 }),
    list('nothing matches', { appName: 'app-1', status: ['failed'], site: 'fab2', q: 'zzz' }),
    ...timeFields.flatMap((time) =>
      (['desc', 'asc'] as const).map((order): Question => second(time, order)),
    ),
    stats('stats by hour', { bucket: 'hour', groupBy: [] }),
    stats('stats by app and status', { bucket: 'day', groupBy: ['app', 'status'] }),
    stats('stats of one app', { bucket: 'hour', groupBy: ['site'], appName: 'app-39' }),
    stats('stats by end', { time: 'ended', bucket: 'day', groupBy: ['status'] }),
    stats('stats failed', { bucket: 'hour', groupBy: ['app'], status: ['failed'] }),
    {
      name: 'stats queued, whenever',
      days: 0,
      ask: (reader) => {
        const filter: StatsFilter = {
          ...{ from: ago(2000), to: ago(-1), bucket: 'day', groupBy: ['status'] },
          status: ['queued'],
        }
        return reader.ask(statsQuestion, filter, signal)
      },
    },
    { name: 'apps', days: 0, ask: (reader) => reader.ask(appsQuestion, {}, signal) },
    { name: 'sources', days: 0, ask: (reader) => reader.ask(sourcesQuestion, {}, signal) },
    { name: 'one job', days: 0, ask: (reader) => reader.getJob(job, signal) },
    { name: 'a job with subjobs', days: 0, ask: (reader) => reader.getJob(parent, signal) },
    { name: 'jobs by id', days: 0, ask: (reader) => reader.getJobs([job, parent], signal) },
    { name: 'no job', days: 0, ask: (reader) => reader.getJob(nowhere, signal) },
    {
      name: 'events of a job',
      days: 0,
      ask: (reader) => reader.findEvents(job, { order: 'desc', limit: 1000 }, signal),
    },
    {
      name: 'events of none',
      days: 0,
      ask: (reader) => reader.findEvents(nowhere, { order: 'desc', limit: 1000 }, signal),
    },
    {
      name: 'errors of a job',
      days: 0,
      ask: (reader) =>
        reader.findEvents(job, { order: 'desc', kinds: ['error'], limit: 20 }, signal),
    },
    {
      name: 'causes',
      ask: (reader) => {
        const [from, to] = [ago(7), ago(0)]
        const filter = { from, to, recentFrom: startRecent(from, to), minFailed: 3 }
        return reader.ask(causesQuestion, filter, signal)
      },
    },
    { name: 'orphans', days: 0, ask: (reader) => reader.ask(orphansQuestion, {}, signal) },
    sub('subjobs without a job', { parent: 'missing', from: undefined }, 0),
    // The planner may look up the failures of all subjobs beside those of the job.
    sub('failed subjobs of a job', { jobId: parent, status: ['failed'], from: undefined }, 1),
    sub('subjobs of a job', { jobId: parent, from: undefined }, 0),
    sub('subjobs of none', { jobId: nowhere, from: undefined }, 0),
    sub('subjobs of a lot', { businessKey: lot, from: undefined }, 1),
    sub('subjobs of a lot ended', { businessKey: lot, time: 'ended', status: ['failed'] }, 1),
    sub('subjobs of a lot active', { businessKey: lot, time: 'active', from: ago(1) }, 1),
    sub('subjobs of no lot', { businessKey: 'none', from: undefined }, 0),
    sub('subjobs q a lot', { q: lot, time: 'active', from: ago(1) }, 1),
    sub('subjobs q none', { q: 'zzz' }),
    sub('subjobs failed', { status: ['failed'] }),
    sub('subjobs of an app', { appName: 'app-39' }),
    sub('subjobs tried again', { minAttempts: 2 }, 0),
    sub('subjobs by their lot', { q: key }),
  ]
}

function second(time: JobFilter['time'], order: JobFilter['order']): Question {
  const filter = { time, order, limit: 100, from: ago(7) }
  return {
    name: `second page, ${time} ${order}`,
    ask: async (reader) => {
      const { nextCursor } = await reader.findJobs(filter, signal)
      return reader.findJobs({ ...filter, cursor: nextCursor! }, signal)
    },
  }
}

const stats = (name: string, filter: StatsFilter): Question => ({
  name,
  ask: (reader) => reader.ask(statsQuestion, filter, signal),
})

const sub = (name: string, filter: Partial<JobFilter>, days?: number): Question => ({
  name,
  ...(days !== undefined && { days }),
  ask: (reader) =>
    reader.findSubjobs(
      { time: 'started', order: 'desc', limit: 100, from: ago(7), ...filter },
      signal,
    ),
})
