import type { Cause, Causes } from '../../../views/partials/causes.tsx'
import { ExactNumber } from '../../core/exact-number.ts'
import type { Job } from '../../core/job.ts'
import { normalizeError } from './error-text.ts'

/** Minimum failures that share a value. */
const fewest = 3
/** Minimum share of the failures. */
const leastShare = 0.2
/** Minimum ratio of its share of the failures to its share of all jobs. */
const leastLift = 1.5
/** Maximum values shown. */
const rowsShown = 7
/** Maximum metadata values read of one job. */
const valuesPerJob = 40

/**
 * Finds what failures have in common: each value of each property (app, version, error, and
 * everything in metadata), by how much more frequent it is among the failures than among all jobs.
 * A property that is as frequent among the jobs that went well explains nothing.
 *
 * @param failures the newest few hundred failed jobs of a window
 * @param jobs jobs of any status of the same window, to compare with
 */
export function findCauses(failures: readonly Job[], jobs: readonly Job[]): Causes {
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

/** The only version of an app says no more than the app does. */
function dropEchoes(rows: Cause[]): void {
  const apps = new Map(rows.filter(({ name }) => name === 'app').map((row) => [row.value, row]))
  const isEcho = ({ name, value, failures, baseShare }: Cause) => {
    const app = name === 'version' ? apps.get(value.slice(0, value.lastIndexOf(' '))) : undefined
    return app?.failures === failures && app.baseShare === baseShare
  }
  const kept = rows.filter((row) => !isEcho(row))
  rows.splice(0, rows.length, ...kept)
}

/** A value of most failures and few jobs comes first. */
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
  if (job.lastError !== null) values.push(['error', normalizeError(job.lastError)])
  for (const [name, value] of Object.entries(job.metadata).slice(0, valuesPerJob)) {
    // The error is there already, without its numbers.
    if (name === 'error' || name === 'message') continue
    if (typeof value === 'string' && value !== '' && value.length <= 120) values.push([name, value])
    const isExact = Number.isInteger(value) || value instanceof ExactNumber
    if (typeof value === 'boolean' || isExact) values.push([name, String(value)])
  }
  return values
}
