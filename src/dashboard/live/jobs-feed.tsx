import { type JobsQuery, jobsUrl } from '../../../views/jobs-query.ts'
import { NewRows } from '../../../views/pages/jobs.tsx'
import { JobRow } from '../../../views/partials/job-row.tsx'
import type { Job, JobFilter } from '../../core/job.ts'
import { matches } from '../../core/job-filter.ts'
import type { Micros } from '../../core/time.ts'
import { filterOf } from '../model/query.ts'

/** New rows counted; beyond, the page says "over 999". */
const mostCounted = 1000

/**
 * One open jobs page: which rows it shows, and how many it does not show yet. Rows on the page are
 * replaced where they stand; new ones only raise the number on the button, so the list never moves.
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
    this.#filter = filterOf(query, asOf).filter
  }

  /**
   * Only the first page of a list with the newest on top can tell what is new; and no job is stuck,
   * lost or late when it is new.
   */
  get counts(): boolean {
    const { sort, after, before, to, flags } = this.#query
    return (
      flags.length === 0 &&
      sort === 'started-desc' &&
      after === undefined &&
      before === undefined &&
      to === undefined
    )
  }

  /** What the page shows, as of when it was made. */
  knows(jobs: readonly Job[]): void {
    for (const job of jobs) this.#rows.set(job.id, job)
  }

  /** Jobs that changed: the HTML to send, undefined when it concerns nothing on the page. */
  take(jobs: readonly Job[], now: Micros): string[] {
    const changed = jobs.filter((job) => this.#rows.has(job.id))
    this.knows(changed)
    const before = this.#news.size
    for (const job of jobs) this.#count(job)
    const messages = changed.length > 0 ? [this.#render(changed, now)] : []
    if (this.#news.size !== before) messages.push(this.#button())
    return messages
  }

  /** Rows of running jobs anew: the time they run is text, and text does not run by itself. */
  aging(now: Micros): string | undefined {
    const running = [...this.#rows.values()].filter(({ status }) => status === 'running')
    return running.length === 0 ? undefined : this.#render(running, now)
  }

  #count(job: Job): void {
    if (!this.counts || this.#rows.has(job.id) || job.entityType !== 'job') return
    if (!matches(job, this.#filter) || this.#news.size >= mostCounted) return
    this.#news.add(job.id)
  }

  #render(jobs: readonly Job[], now: Micros): string {
    return jobs.map((job) => String(<JobRow job={job} now={now} site={this.#site} oob />)).join('')
  }

  #button(): string {
    const href = jobsUrl(this.#query, this.#site)
    return String(<NewRows count={this.#news.size} href={href} oob />)
  }
}
