import { jobsUrl } from '../../../views/jobs-query.ts'
import { NewRows } from '../../../views/pages/jobs.tsx'
import { pageSize, readJobsQuery } from '../model/query.ts'
import { asReplacement, eachPart, type Part, rowsId } from './parts.ts'

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
  readonly #versions: Map<string, string>
  #news: number
  /** Rows that left the page of the list, and will not change while nothing happens. */
  readonly #settled = new Set<string>()

  constructor({ key, url, parts, news }: WindowState) {
    this.key = key
    this.url = url
    this.about = /^\/jobs\/([0-9a-fA-F-]{36})(?:\?|$)/.exec(url)?.[1]?.toLowerCase()
    this.#versions = new Map(Object.entries(parts))
    this.#news = news
  }

  /** The HTML to send so that the window shows this version of its page; empty when it does. */
  update(parts: readonly Part[], site: string | undefined): string {
    return this.#replace(parts) + this.#countNew(parts, site)
  }

  /** The HTML to send when the rows of some jobs were made again. */
  updateRows(rows: ReadonlyMap<string, { part: Part; running: boolean }>): string {
    let html = ''
    for (const [jobId, { part, running }] of rows) {
      if (!this.#versions.has(part.id)) continue
      if (running) this.#settled.delete(jobId)
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
      if (!id.startsWith(rowPrefix) || listed.has(id) || this.#settled.has(jobId)) continue
      left.push(jobId)
    }
    return left
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
      if (part.id === rowsId || shown === part.version) {
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
    // Only a list with the newest on top has a place for new ones.
    if (sort !== 'started-desc' || after !== undefined || before !== undefined) return ''
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
