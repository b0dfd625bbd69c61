import { jobsUrl, sortOrder, toTimeField } from '../../../views/jobs-query.ts'
import type { Fresh } from '../../../views/page.ts'
import { NewRows } from '../../../views/pages/jobs.tsx'
import type { TimeField } from '../../core/job.ts'
import { isUuid } from '../../core/uuid.ts'
import { pageSize, readJobsQuery } from '../model/query.ts'
import type { Outcome } from './page-maker.ts'
import { asReplacement, eachPart, listId, type Part, rowsId } from './parts.ts'

/** What a browser says about one of its windows. */
export type WindowState = {
  /** Chosen by the browser; what is sent to the window carries it. */
  key: string
  /** Path and query of the page. */
  url: string
  /** The version of each part that the window shows. */
  parts: Readonly<Record<string, string>>
  /** The number on its button for new rows. */
  news: number
}

const rowPrefix = 'job-'
/** Maximum rows of one window that are looked up apart: a page of them, and some that it shows besides. */
const mostLeft = pageSize + 20
/** A page that was not made for so long is not current, whatever the reason, in milliseconds. */
const currentMs = 15_000

/**
 * One open window, as its browser described it, and what it was sent since. Everything it is sent
 * depends on that and on the newest version of the page: windows that were away, or whose connection
 * broke, need no history.
 */
export class OpenWindow {
  readonly key: string
  readonly url: string
  /** The job or subjob that the page is about. */
  readonly about: string | undefined
  /** The time that orders its list of jobs. */
  readonly time: TimeField
  readonly #versions: Map<string, string>
  #news: number
  /** How far the page itself is behind its site; undefined while it is as current as that. */
  #behind: Fresh | undefined
  /** When the making of what the window shows began, in the time of `performance.now()`. */
  #currentAt = performance.now()
  /** Rows that left the page of the list, and will not change while nothing happens. */
  readonly #settled = new Set<string>()

  constructor({ key, url, parts, news }: WindowState) {
    this.key = key
    this.url = url
    this.about = /^\/jobs\/([0-9a-fA-F-]{36})(?:\?|$)/.exec(url)?.[1]?.toLowerCase()
    this.time = toTimeField(readJobsQuery(new URL(url, 'http://localhost').searchParams).query.sort)
    this.#versions = new Map(Object.entries(parts))
    this.#news = news
  }

  /** Notes how the page was made for this window. @returns true when that changes how current it is */
  note({ fresh, parts, fault, at, goodAt = this.#currentAt }: Outcome): boolean {
    const before = this.#behind?.state
    if (parts === undefined) {
      const ageS = (performance.now() - Math.min(goodAt, this.#currentAt)) / 1000
      this.#behind = { state: 'behind', whole: true, ageS, reason: fault }
    } else {
      this.#currentAt = at
      const isBehind = fresh.state === 'behind' || fresh.state === 'stale'
      this.#behind = isBehind ? fresh : undefined
    }
    return this.#behind?.state !== before
  }

  /** How current the window is, where its site is as current as `fresh`. */
  assess(fresh: Fresh): Fresh {
    if (fresh.state === 'stale') return fresh
    if (this.#behind) return this.#behind
    const ageMs = performance.now() - this.#currentAt
    if (ageMs < currentMs) return fresh
    return { state: 'behind', whole: true, ageS: ageMs / 1000, reason: 'It is still being made.' }
  }

  /** The HTML to send so that the window shows this version of its page; empty when it does. */
  update(parts: readonly Part[], site: string | undefined): string {
    return this.#replace(parts) + this.#countNew(parts, site)
  }

  /**
   * The HTML to send when the rows of some jobs were made again. Those of `open` jobs, which wait or run, change
   * as time passes.
   */
  updateRows(rows: ReadonlyMap<string, { part: Part; open: boolean }>): string {
    let html = ''
    for (const [jobId, { part, open }] of rows) {
      if (!this.#versions.has(part.id)) continue
      if (open) this.#settled.delete(jobId)
      else this.#settled.add(jobId)
      html += this.#replace([part])
    }
    return html
  }

  /** The jobs of rows that the window shows, may change while nothing happens, and are not in `parts`. */
  findLeft(parts: readonly Part[]): string[] {
    const listed = new Set([...eachPart(parts)].map(({ id }) => id))
    const left: string[] = []
    for (const id of this.#versions.keys()) {
      const jobId = id.slice(rowPrefix.length)
      // A browser may send anything, and one id that the API refuses would cost all others.
      if (!id.startsWith(rowPrefix) || !isUuid(jobId)) continue
      if (!listed.has(id) && !this.#settled.has(jobId)) left.push(jobId)
    }
    return left.slice(0, mostLeft)
  }

  /** Rows that left the list may have changed unnoticed. */
  unsettle(): void {
    this.#settled.clear()
  }

  #replace(parts: readonly Part[]): string {
    let html = ''
    for (const part of parts) {
      const shown = this.#versions.get(part.id)
      // It is new, so what holds it has another version: it is sent with that.
      if (shown === undefined) continue
      // No row enters or leaves a list under a finger; one that shows none is filled.
      const stays = part.id === rowsId || (part.id === listId && this.#versions.has(rowsId))
      if (stays || shown === part.version) {
        html += this.#replace(part.parts)
        continue
      }
      html += asReplacement(part)
      for (const { id, version } of eachPart([part])) this.#versions.set(id, version)
    }
    return html
  }

  #countNew(parts: readonly Part[], site: string | undefined): string {
    const url = new URL(this.url, 'http://localhost')
    if (url.pathname !== '/jobs') return ''
    const { query } = readJobsQuery(url.searchParams)
    const { sort, after, before, to } = query
    // Only a list with the newest on top, by whatever time, has a place for new ones.
    if (sortOrder(sort) !== 'desc' || after !== undefined || before !== undefined) return ''
    if (to !== undefined) return ''
    const rows = [...eachPart(parts)].filter(({ id }) => id.startsWith(rowPrefix))
    const isShown = ({ id }: Part) => this.#versions.has(id)
    const last = rows.findLastIndex(isShown)
    // Those after the last one only moved up, because others left the list.
    const above = last < 0 ? rows : rows.slice(0, last)
    const news = above.filter((row) => !isShown(row)).length
    if (news === this.#news) return ''
    this.#news = news
    const more = news >= pageSize
    return String(<NewRows count={news} more={more} href={jobsUrl(query, site)} oob />)
  }
}
