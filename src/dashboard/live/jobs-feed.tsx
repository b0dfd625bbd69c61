import { type JobsQuery, jobsUrl } from '../../../views/jobs-query.ts'
import { NewRows } from '../../../views/pages/jobs.tsx'
import { JobRow } from '../../../views/partials/jobs-table.tsx'
import type { Job, JobFilter } from '../../core/job.ts'
import { matchesFilter } from '../../core/job-filter.ts'
import { fromMs, type Micros, toMs } from '../../core/time.ts'
import { toFilter } from '../model/query.ts'

/** Maximum new rows counted; then the page says "over 999". */
const mostCounted = 1000

/** The end of a job may arrive this much later; one that ended before is on a later page already. */
const lateMs = 60_000

/**
 * One open jobs page: the rows that it shows, and the number of new ones. Rows on the page are
 * replaced in place; new ones only raise the number on the button, so the list never moves.
 */
export class JobsFeed {
  readonly #query: JobsQuery
  readonly #site: string | undefined
  readonly #rows = new Map<string, Job>()
  readonly #news = new Set<string>()
  readonly #filter: JobFilter

  constructor(query: JobsQuery, asOf: Micros, site: string | undefined) {
    this.#query = query
    this.#site = site
    const { filter } = toFilter(query, asOf)
    // A job that began long ago is active in every window, and not new.
    this.#filter =
      filter.time === 'active'
        ? { ...filter, time: 'started' }
        : { ...filter, from: fromMs(toMs(asOf) - lateMs) }
  }

  /**
   * True when new jobs can be counted: only on the first page of a list with the newest on top, and
   * not among flagged jobs, because no job is stuck, lost or late when it is new.
   */
  get counts(): boolean {
    const { sort, after, before, to, flags } = this.#query
    return (
      flags.length === 0 &&
      (sort === 'started-desc' || sort === 'ended-desc') &&
      after === undefined &&
      before === undefined &&
      to === undefined
    )
  }

  /** Takes jobs for rows of the page. */
  remember(jobs: readonly Job[]): void {
    for (const job of jobs) this.#rows.set(job.id, job)
  }

  /** The HTML to send for jobs that changed; empty when none concerns the page. */
  take(jobs: readonly Job[], now: Micros): string[] {
    const changed = jobs.filter((job) => this.#rows.has(job.id))
    this.remember(changed)
    const before = this.#news.size
    for (const job of jobs) this.#count(job)
    const messages = changed.length > 0 ? [this.#render(changed, now)] : []
    if (this.#news.size !== before) messages.push(this.#button())
    return messages
  }

  /** The rows of running jobs again, because their duration is text; undefined without any. */
  redrawRunning(now: Micros): string | undefined {
    const running = [...this.#rows.values()].filter(({ status }) => status === 'running')
    return running.length === 0 ? undefined : this.#render(running, now)
  }

  #count(job: Job): void {
    if (!this.counts || this.#rows.has(job.id) || job.entityType !== 'job') return
    if (!matchesFilter(job, this.#filter) || this.#news.size >= mostCounted) return
    this.#news.add(job.id)
  }

  #render(jobs: readonly Job[], now: Micros): string {
    return jobs.map((job) => String(<JobRow job={job} now={now} site={this.#site} />)).join('')
  }

  #button(): string {
    const href = jobsUrl(this.#query, this.#site)
    return String(<NewRows count={this.#news.size} href={href} oob />)
  }
}
