import type { Cause, Causes } from '../../../views/pages/overview.tsx'
import type { Job } from '../../core/job.ts'
import { normalizedError } from './error-text.ts'

/** A value must be shared by so many failures to be told at all. */
const fewest = 3
/** And by this share of them. */
const leastShare = 0.2
/** And be so many times more frequent among the failures than among all jobs. */
const leastLift = 1.5
/** Values told. */
const rowsShown = 7
/** Metadata values of one job that are looked at. */
const valuesPerJob = 40

/**
 * What failures have in common: each value of each property (app, version, error, and whatever the
 * programs put into metadata), by how much more frequent it is among the failures than among all
 * jobs. A property that is as frequent among the jobs that went well explains nothing.
 *
 * @param failures failed jobs of a window, the newest some hundred
 * @param jobs jobs of any status of the same window, to compare with
 */
export function causesOf(failures: readonly Job[], jobs: readonly Job[]): Causes {
  const among = countValues(failures)
  const base = countValues(jobs)
  const rows: Cause[] = []
  for (const [key, n] of among) {
    const share = n / failures.length
    // The failures are jobs as well: a value never looks rarer among all than it can be.
    const baseShare = jobs.length === 0 ? 0 : (base.get(key) ?? 0) / jobs.length
    if (n < fewest || share < leastShare || share < baseShare * leastLift) continue
    const [name = '', value = ''] = JSON.parse(key) as string[]
    rows.push({ name, value, failures: n, share, baseShare })
  }
  dropEchoes(rows)
  rows.sort((a, b) => scoreOf(b) - scoreOf(a) || a.name.localeCompare(b.name))
  return { rows: rows.slice(0, rowsShown), failures: failures.length, jobs: jobs.length }
}

/** A version that is the only one of its app says nothing that the app does not say. */
function dropEchoes(rows: Cause[]): void {
  const apps = new Map(rows.filter(({ name }) => name === 'app').map((row) => [row.value, row]))
  const isEcho = ({ name, value, failures, baseShare }: Cause) => {
    const app = name === 'version' ? apps.get(value.slice(0, value.lastIndexOf(' '))) : undefined
    return app?.failures === failures && app.baseShare === baseShare
  }
  const kept = rows.filter((row) => !isEcho(row))
  rows.splice(0, rows.length, ...kept)
}

/** A value of most failures and few jobs tells most. */
const scoreOf = ({ share, baseShare }: Cause) => share * (share - baseShare)

function countValues(jobs: readonly Job[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const job of jobs) {
    for (const pair of new Set(valuesOf(job).map((pair) => JSON.stringify(pair)))) {
      counts.set(pair, (counts.get(pair) ?? 0) + 1)
    }
  }
  return counts
}

function valuesOf(job: Job): [name: string, value: string][] {
  const values: [string, string][] = [['app', job.appName]]
  if (job.appVersion !== '') values.push(['version', `${job.appName} ${job.appVersion}`])
  if (job.lastError !== null) values.push(['error', normalizedError(job.lastError)])
  for (const [name, value] of Object.entries(job.metadata).slice(0, valuesPerJob)) {
    // The error is there already, cleaned of its numbers.
    if (name === 'error' || name === 'message') continue
    if (typeof value === 'string' && value !== '' && value.length <= 120) values.push([name, value])
    if (typeof value === 'boolean' || Number.isInteger(value)) values.push([name, String(value)])
  }
  return values
}
