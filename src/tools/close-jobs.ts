import { createInterface } from 'node:readline/promises'
import { AppError, ConfigError } from '../core/errors.ts'
import { type EndStatus, isOpen, type Job, type JobStatus, openStatuses } from '../core/job.ts'
import { jobFromWire } from '../core/job-wire.ts'
import { cursorOfList, itemsFromWire } from '../core/wire-table.ts'
import { clock } from '../platform/clock.ts'
import { print } from '../platform/stdout.ts'
import { askLocalApi, type LocalApi } from './local-api.ts'
import { ageText, grouped, table } from './table.ts'

export type CloseOptions = {
  /** Parameters of `GET /v1/jobs`, as NAME=VALUE. */
  where: readonly string[]
  status: EndStatus
  reason: string
  by: string | undefined
  /** Only show what would be closed. */
  dryRun: boolean
  /** Do not ask. */
  yes: boolean
  json: boolean
}

/** `ended`: they ended, or went, before they could be closed. */
type Counts = { matched: number; closed: number; ended: number }

/** How many are shown before they are closed. */
const sampleRows = 10
/** Requests at the same time. */
const atOnce = 4

/**
 * Closes the jobs of a list that wait or run, and says what came of it.
 *
 * @returns false when the operator said no
 * @throws ConfigError for a filter that is wrong; AppError when the API refuses or is away: what was closed
 * until then stays closed, and the same command again closes the rest
 */
export async function closeJobs(api: LocalApi, options: CloseOptions): Promise<boolean> {
  const { dryRun, yes, json, status } = options
  const jobs = await findJobs(api, toQuery(options.where))
  const say = (text: string) => (json ? process.stderr.write(text) : print(text))
  await say(describe(jobs))
  if (dryRun) {
    if (json) await print(`${JSON.stringify({ matched: jobs.length, ids: jobs.map(idOf) })}\n`)
    return true
  }
  if (jobs.length > 0 && !yes && !(await agree(jobs.length, status))) return false
  const counts = await closeAll(api, jobs, options)
  if (json) await print(`${JSON.stringify(counts)}\n`)
  else await print(`${grouped(counts.closed)} closed as ${status}${ended(counts)}\n`)
  return true
}

const idOf = ({ id }: Job) => id

const ended = (counts: Counts) =>
  counts.ended === 0 ? '' : `; ${grouped(counts.ended)} ended by themselves before that`

/** Names that say how a list is answered, not what is in it. */
const notFilters = ['limit', 'cursor', 'sort', 'format']

function toQuery(where: readonly string[]): URLSearchParams {
  const query = new URLSearchParams()
  for (const filter of where) {
    const [, name = '', value = ''] = /^([a-z_]+)=(.+)$/s.exec(filter) ?? []
    if (name === '') throw wrong(`${filter} is not NAME=VALUE, such as app_name=apc`)
    if (notFilters.includes(name)) throw wrong(`${name} is not a filter; omit it`)
    if (query.has(name)) throw wrong(`${name} is given more than once; send it once`)
    query.set(name, value)
  }
  const status = query.get('status')
  if (status !== null && !status.split(',').every((one) => isOpen(one as JobStatus))) {
    throw wrong(`status=${status}: only jobs that are ${openStatuses.join(' or ')} can be closed`)
  }
  // A list with flags is of running jobs.
  if (status === null && !query.has('flag')) query.set('status', openStatuses.join(','))
  return query
}

const wrong = (what: string) => new ConfigError(`--where: ${what}`)

async function findJobs(api: LocalApi, query: URLSearchParams): Promise<Job[]> {
  const jobs: Job[] = []
  for (;;) {
    const json = await askLocalApi(api, `/v1/jobs?${query}`)
    jobs.push(...itemsFromWire(json, jobFromWire))
    const cursor = cursorOfList(json)
    if (cursor === undefined) return jobs
    query.set('cursor', cursor)
  }
}

function describe(jobs: readonly Job[]): string {
  if (jobs.length === 0) return 'no job that waits or runs\n'
  const rows = jobs.slice(0, sampleRows).map((job) => {
    const silentS = Math.max(0, (clock.nowMs() - Date.parse(job.lastEventAt)) / 1000)
    return [job.id, job.status, job.appName, job.jobKey ?? '', `${ageText(silentS)} ago`]
  })
  const more = jobs.length > sampleRows ? `and ${grouped(jobs.length - sampleRows)} more\n` : ''
  const titles = ['ID', 'STATUS', 'APP', 'KEY', 'LAST EVENT']
  return `${grouped(jobs.length)} ${jobs.length === 1 ? 'job' : 'jobs'}\n${table([titles, ...rows])}\n${more}`
}

/** @throws ConfigError where there is no terminal to ask on */
async function agree(count: number, status: EndStatus): Promise<boolean> {
  if (!process.stdin.isTTY) throw new ConfigError('give --yes to close them without a question')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  const answer = await terminal.question(`Close ${grouped(count)} as ${status}? [y/N] `)
  terminal.close()
  return /^y(es)?$/i.test(answer.trim())
}

async function closeAll(api: LocalApi, jobs: readonly Job[], options: CloseOptions) {
  const { status, reason, by } = options
  const counts: Counts = { matched: jobs.length, closed: 0, ended: 0 }
  const progress = progressOf(jobs.length)
  const left = [...jobs]
  const work = async () => {
    for (let job = left.shift(); job; job = left.shift()) {
      try {
        await askLocalApi(api, `/v1/jobs/${job.id}/close`, { status, reason, by })
        counts.closed++
      } catch (error) {
        const { code } = error as AppError
        if (code !== 'conflict' && code !== 'not_found') {
          // The others stop as well.
          left.length = 0
          throw stopped(error, counts)
        }
        counts.ended++
      }
      progress(counts.closed + counts.ended)
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  return counts
}

function stopped(error: unknown, { closed }: Counts): unknown {
  if (!(error instanceof AppError)) return error
  return new AppError(error.code, `${error.message}; ${grouped(closed)} were closed until then`)
}

/** A line every few seconds, for a person who waits. */
function progressOf(total: number): (done: number) => void {
  let toldAt = performance.now()
  return (done) => {
    if (performance.now() - toldAt < 2000) return
    toldAt = performance.now()
    process.stderr.write(`${grouped(done)} of ${grouped(total)} done\n`)
  }
}
