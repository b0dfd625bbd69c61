import { isPartial } from '../core/completeness.ts'
import { AppError } from '../core/errors.ts'
import {
  type EventFilter,
  type EventPage,
  type Job,
  type JobFilter,
  type JobPage,
  type JobReader,
  type SearchArchive,
  sortByIds,
} from '../core/job.ts'
import type { ListPage, Place } from '../core/list-order.ts'
import type { Question } from '../core/questions/question.ts'
import type { SitesReport } from '../core/sites.ts'
import { mergeLists } from './merged-list.ts'
import { mergePages, positionAt } from './merged-page.ts'
import { SiteOutcomes } from './site-outcomes.ts'

export type MergedSite = { id: string; reader: JobReader }

export type MergedOptions = {
  sites: readonly MergedSite[]
  /** Longest wait for any site, in milliseconds, regardless of what it does. */
  deadlineMs: number
  /** Called with every site that was asked, and true when it answered. */
  onAsked?: (site: string, answered: boolean) => void
}

/** A reader for one question to all sites, and the outcome per site once it is answered. */
export type MergedAsked = { reader: JobReader; sites: () => SitesReport }

/**
 * All sites as one. All sites are asked at the same time; one that misses the deadline is left out,
 * and the report says so. Only when no site answers is there no answer.
 */
export function mergedReader(options: MergedOptions): () => MergedAsked {
  return () => {
    const reader = new MergedReader(options)
    return { reader, sites: () => reader.report() }
  }
}

class MergedReader implements JobReader {
  readonly #options: MergedOptions
  /** The site at which a job was found, for what is asked about it next. */
  readonly #homes = new Map<string, MergedSite>()
  #outcomes: SiteOutcomes

  constructor(options: MergedOptions) {
    this.#options = options
    this.#outcomes = this.#newOutcomes()
  }

  report(): SitesReport {
    return this.#outcomes.report()
  }

  #newOutcomes(): SiteOutcomes {
    return new SiteOutcomes(this.#options.sites.map(({ id }) => id))
  }

  findJobs(filter: JobFilter, signal: AbortSignal) {
    return this.#findPage(filter, signal, (reader, own) => reader.findJobs(own, signal))
  }

  findSubjobs(filter: JobFilter, signal: AbortSignal) {
    return this.#findPage(filter, signal, (reader, own) => reader.findSubjobs(own, signal))
  }

  async #findPage(
    filter: JobFilter,
    signal: AbortSignal,
    find: (reader: JobReader, own: JobFilter) => Promise<JobPage>,
  ): Promise<JobPage> {
    const outcomes = this.#newOutcomes()
    const pages = await this.#askAll(signal, outcomes, async ({ id, reader }) => {
      const page = await find(reader, { ...filter, cursor: positionAt(filter.cursor, id) })
      return { site: id, page }
    })
    for (const { site, page } of pages) {
      if (isPartial(page.completeness)) outcomes.partial(site)
    }
    return mergePages(
      pages,
      filter,
      this.#options.sites.map(({ id }) => id),
    )
  }

  /** The first site that has it answers, without waiting for the others. */
  async getJob(id: string, signal: AbortSignal, archive?: SearchArchive) {
    const outcomes = this.#newOutcomes()
    this.#outcomes = outcomes
    const enough = new AbortController()
    const either = AbortSignal.any([signal, enough.signal])
    const attempts = this.#options.sites.map(async (site) => {
      const found = await this.#askSite(site, either, outcomes, () =>
        site.reader.getJob(id, either, archive),
      )
      if (found === undefined) throw new Error('not here')
      return { site, found }
    })
    try {
      const { site, found } = await Promise.any(attempts)
      this.#homes.set(id, site)
      return found
    } catch {
      signal.throwIfAborted()
      if (outcomes.report().failed === 0) return undefined
      throw outcomes.toError(`${id} was not found, but not every site answered`)
    } finally {
      enough.abort()
    }
  }

  /** Every site is asked; once each job is found the others are not waited for. */
  async getJobs(ids: readonly string[], signal: AbortSignal): Promise<Job[]> {
    const outcomes = this.#newOutcomes()
    this.#outcomes = outcomes
    const enough = new AbortController()
    const either = AbortSignal.any([signal, enough.signal])
    const missing = new Set(ids)
    const jobs: Job[] = []
    const attempts = this.#options.sites.map(async (site) => {
      const found = await this.#askSite(site, either, outcomes, () =>
        site.reader.getJobs(ids, either),
      )
      for (const job of found) if (missing.delete(job.id)) jobs.push(job)
      if (missing.size === 0) enough.abort()
    })
    await Promise.allSettled(attempts)
    signal.throwIfAborted()
    if (missing.size > 0 && outcomes.report().failed > 0) {
      throw outcomes.toError(`${missing.size} jobs were not found, but not every site answered`)
    }
    return sortByIds(jobs, ids)
  }

  async findEvents(id: string, filter: EventFilter, signal: AbortSignal): Promise<EventPage> {
    if (!this.#homes.has(id)) await this.getJob(id, signal, filter.archive)
    const home = this.#homes.get(id)
    if (!home) return { items: [], next: null }
    return home.reader.findEvents(id, filter, signal)
  }

  async ask<Params, Item>(
    question: Question<Params, Item>,
    params: Params,
    signal: AbortSignal,
  ): Promise<Item[]> {
    return (await this.askPage(question, params, signal)).items
  }

  async askPage<Params, Item>(
    question: Question<Params, Item>,
    params: Params,
    signal: AbortSignal,
    after?: Place,
  ): Promise<ListPage<Item>> {
    const own = question.forSite?.(params) ?? params
    const answers = await this.#askAll(signal, this.#newOutcomes(), async ({ id, reader }) => {
      const page = await reader.askPage(question, own, signal, after)
      return { site: id, ...page }
    })
    for (const { site, partial } of answers) if (partial) this.#outcomes.partial(site)
    const merged = mergeLists(question, params, answers)
    return answers.length < this.#options.sites.length ? { ...merged, partial: true } : merged
  }

  /** The answers of the sites that answer. @throws AppError unreachable when none does */
  async #askAll<T>(
    signal: AbortSignal,
    outcomes: SiteOutcomes,
    call: (site: MergedSite) => Promise<T>,
  ): Promise<T[]> {
    this.#outcomes = outcomes
    const { sites } = this.#options
    const settled = await Promise.allSettled(
      sites.map((site) => this.#askSite(site, signal, outcomes, () => call(site))),
    )
    signal.throwIfAborted()
    const answers = settled.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []))
    if (answers.length > 0) return answers
    throw outcomes.toError('no site answers')
  }

  async #askSite<T>(
    site: MergedSite,
    signal: AbortSignal,
    outcomes: SiteOutcomes,
    call: () => Promise<T>,
  ) {
    try {
      const answer = await within(this.#options.deadlineMs, signal, call())
      outcomes.succeeded(site.id)
      this.#options.onAsked?.(site.id, true)
      return answer
    } catch (error) {
      // Another site answered, or the caller left: that says nothing about this site.
      if (signal.aborted) throw error
      outcomes.failed(site.id, error)
      // A refusal is an answer.
      this.#options.onAsked?.(site.id, error instanceof AppError && !error.retryable)
      throw error
    }
  }
}

/** Waits until the deadline or the signal, however a site hangs. */
async function within<T>(ms: number, signal: AbortSignal, answer: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>()
  const give = () => reject(signal.reason)
  const late = () => reject(new AppError('unreachable', `did not answer within ${ms / 1000} s`))
  const timer = setTimeout(late, ms)
  signal.addEventListener('abort', give, { once: true })
  try {
    return await Promise.race([answer, promise])
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', give)
  }
}
