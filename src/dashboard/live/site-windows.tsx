import type { Fresh } from '../../../views/page.ts'
import { Clock, Freshness, ZoneName } from '../../../views/partials/fresh.tsx'
import { JobRow } from '../../../views/partials/jobs-table.tsx'
import { Outage } from '../../../views/partials/outage.tsx'
import { isOpen, type Job, maxJobIds, type TimeField } from '../../core/job.ts'
import { must } from '../../core/must.ts'
import { fromMs } from '../../core/time.ts'
import { sleep } from '../../platform/backoff.ts'
import type { Dashboard, SiteView } from '../visit.ts'
import type { Change } from './live.ts'
import type { OpenWindow } from './open-window.tsx'
import type { PageMaker } from './page-maker.ts'
import { type Part, stamp } from './parts.ts'

/**
 * How often every open page is made again, in milliseconds: what changes because time passes (ages,
 * counts of windows that slide, lost, stuck) is on the screen within 5 s.
 */
export const tickMs = 4000
/** How often a page hears how current it is, and how soon that the API is away or back. */
const freshEveryMs = 2000
const beatMs = 1000
/** How long the rows that left their lists wait for pages that take long, in milliseconds. */
const rowsWaitMs = 1000
/**
 * How long a browser that asks waits for its page, in milliseconds. It gives up after 5 s; a page that
 * takes longer reaches it with a later question.
 */
const answerWaitMs = 3000

export type Send = (window: OpenWindow, html: string) => void

/**
 * The open windows of one site, of all browsers. One clock for all of them: with each tick every page
 * is made once, whatever the number of windows that show it, and each window is sent the parts that
 * differ from what it shows.
 */
export class SiteWindows {
  readonly #view: SiteView
  readonly #site: string | undefined
  readonly #dashboard: Dashboard
  readonly #maker: PageMaker
  readonly #windows = new Map<OpenWindow, Send>()
  #beat: NodeJS.Timeout | undefined
  #unsubscribe = () => {}
  #tickedAt = 0
  #saidAt = 0
  #said = ''

  constructor(view: SiteView, site: string | undefined, dashboard: Dashboard, maker: PageMaker) {
    this.#view = view
    this.#site = site
    this.#dashboard = dashboard
    this.#maker = maker
  }

  /** Sends what changes until the returned function is called. */
  add(window: OpenWindow, send: Send): () => void {
    this.#windows.set(window, send)
    if (this.#windows.size === 1) this.#start()
    send(window, this.#freshness(window))
    this.#log(this.#update([window], this.#windowMs))
    return () => {
      this.#windows.delete(window)
      if (this.#windows.size === 0) this.#stop()
    }
  }

  /** The HTML that brings a window up to date; for browsers that ask instead of listening. */
  async answer(window: OpenWindow): Promise<string> {
    let html = ''
    const send = (_to: OpenWindow, more: string) => {
      html += more
    }
    // Before the question: a page that is made again has a last version, not one of now.
    const last = this.#maker.last(window.url)
    const update = this.#update([window], tickMs, send).then(() => true)
    const inTime = await Promise.race([update, sleep(answerWaitMs, this.#dashboard.signal)]).catch(
      (error: unknown) => this.#debug(error),
    )
    if (inTime === undefined && last?.parts) {
      html += window.update(last.parts, this.#site)
      window.note(last)
    }
    return this.#freshness(window) + html
  }

  /** A page that was made a moment ago serves a window that opens now. */
  readonly #windowMs = 1000

  #start(): void {
    this.#tickedAt = performance.now()
    this.#unsubscribe = this.#view.live.subscribe((change) => this.#changed(change))
    this.#beat = setInterval(() => this.#everyBeat(), beatMs)
  }

  #stop(): void {
    this.#unsubscribe()
    clearInterval(this.#beat)
  }

  #everyBeat(): void {
    const now = performance.now()
    const { state } = this.#view.live.fresh
    const back = this.#said === 'stale' && state !== 'stale'
    if (state !== this.#said || now - this.#saidAt >= freshEveryMs) {
      this.#said = state
      this.#saidAt = now
      this.#sayFreshness()
    }
    // Values that are not known any more stay as they are: an age that counts on would be invented.
    if (state === 'stale' || (!back && now - this.#tickedAt < tickMs)) return
    this.#tickedAt = now
    // Answers from before may lack what became true since.
    this.#dashboard.cache.expire()
    this.#log(this.#update([...this.#windows.keys()]))
  }

  #changed({ jobs, touched, reset }: Change): void {
    const windows = [...this.#windows.keys()]
    if (reset) {
      for (const window of windows) window.unsettle()
      this.#tickedAt = -Infinity
    }
    this.#sendRows(windows, jobs)
    const about = windows.filter((one) => one.about !== undefined && touched.has(one.about))
    if (about.length > 0) this.#log(this.#update(about))
  }

  /** Makes the pages of these windows, and sends each what it lacks. */
  async #update(
    windows: readonly OpenWindow[],
    maxAgeMs = 0,
    send: Send = (to, html) => this.#windows.get(to)?.(to, html),
  ): Promise<void> {
    const left = new Map<OpenWindow, string[]>()
    const work = [...Map.groupBy(windows, ({ url }) => url)].map(async ([url, showing]) => {
      const outcome = await this.#maker.make(url, maxAgeMs)
      for (const window of showing) {
        if (window.note(outcome)) send(window, this.#freshness(window))
        if (outcome.parts === undefined) continue
        const html = window.update(outcome.parts, this.#site)
        if (html !== '') send(window, html)
        left.set(window, window.findLeft(outcome.parts))
      }
    })
    const all = Promise.all(work)
    await Promise.race([all, sleep(rowsWaitMs, this.#dashboard.signal)])
    await this.#updateLeft(left, send)
    await all
    await this.#updateLeft(left, send)
  }

  /** Looks up the rows that left their lists, in few questions, and sends them. */
  async #updateLeft(left: Map<OpenWindow, string[]>, send: Send): Promise<void> {
    const windows = [...left.keys()]
    const ids = [...new Set([...left.values()].flat())]
    left.clear()
    for (let i = 0; i < ids.length; i += maxJobIds) {
      const asked = ids.slice(i, i + maxJobIds)
      try {
        const jobs = await this.#view.backend.getJobs(asked, this.#dashboard.signal)
        this.#sendRows(windows, jobs, send)
      } catch (error) {
        // The others are looked up all the same.
        this.#debug(error)
      }
    }
  }

  #sendRows(
    windows: readonly OpenWindow[],
    jobs: readonly Job[],
    send: Send = (to, html) => this.#windows.get(to)?.(to, html),
  ): void {
    if (jobs.length === 0) return
    for (const [time, showing] of Map.groupBy(windows, (window) => window.time)) {
      const rows = this.#makeRows(jobs, time)
      for (const window of showing) {
        const html = window.updateRows(rows)
        if (html !== '') send(window, html)
      }
    }
  }

  /** The rows of jobs, by id, as lists ordered by that time have them. */
  #makeRows(jobs: readonly Job[], time: TimeField) {
    const context = { now: fromMs(this.#dashboard.now()), site: this.#site, time }
    return new Map(
      jobs.map((job) => {
        const row = stamp(String(<JobRow job={job} {...context} />))
        const part: Part = must(row.parts[0], 'a row has an id')
        return [job.id, { part, open: isOpen(job.status) }]
      }),
    )
  }

  /** Tells every window how current it is; all that are as current as the site hear the same. */
  #sayFreshness(): void {
    const { fresh } = this.#view.live
    const said = new Map<Fresh, string>()
    for (const [window, send] of this.#windows) {
      const own = window.assess(fresh)
      const html = said.get(own) ?? this.#describe(own)
      said.set(own, html)
      send(window, html)
    }
  }

  #freshness(window: OpenWindow): string {
    return this.#describe(window.assess(this.#view.live.fresh))
  }

  #describe(fresh: Fresh): string {
    const { plant } = this.#view.live
    const now = fromMs(this.#dashboard.now())
    const parts = [
      <Freshness fresh={fresh} plant={plant} now={now} oob />,
      <Clock now={now} oob />,
      <ZoneName now={now} oob />,
      <Outage fresh={fresh} now={now} oob />,
    ]
    return parts.map(String).join('')
  }

  #log(work: Promise<void>): void {
    work.catch((error: unknown) => this.#debug(error))
  }

  #debug(error: unknown): void {
    if (!this.#dashboard.signal.aborted) this.#dashboard.log.debug({ error }, 'a page was not made')
  }
}
