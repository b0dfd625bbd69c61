import { Hono, type MiddlewareHandler } from 'hono'
import { sleep } from '../../platform/backoff.ts'
import type { Visitor } from '../access.ts'
import type { DashboardPage } from '../define-page.tsx'
import { withVisit } from '../respond.tsx'
import type { RouteContext } from '../visit.ts'
import { type Part, readPage } from './parts.ts'

/** A page that takes long is made less often, so that it is being made half of the time at most. */
const restFactor = 2
/** Maximum pages kept; each is one that is open somewhere, or was a moment ago. */
const most = 200

/** `at` is when its making began: later changes may not be in it. */
type Made = { parts: readonly Part[]; at: number; tookMs: number }
type Known = { made?: Made | undefined; making?: Promise<void> | undefined }

/** The parts that differ from one visitor to another are not made again. */
const asAnonymous: MiddlewareHandler = async (c, next) => {
  c.set('visitor', { kind: 'anonymous' } satisfies Visitor)
  await next()
}

/**
 * Makes open pages again: once for all windows that show the same address, by the same code that
 * answers a browser. The address is all that it needs, so nothing of one visitor reaches another.
 */
export class PageMaker {
  readonly #app = new Hono()
  readonly #known = new Map<string, Known>()
  readonly #signal: AbortSignal

  constructor(context: RouteContext, pages: readonly DashboardPage[]) {
    this.#signal = context.dashboard.signal
    this.#app.use(asAnonymous)
    for (const { path, answer } of pages) {
      this.#app.get(path, (c) => withVisit(context, c, answer))
    }
  }

  /**
   * The parts of the page, made within the last `maxAgeMs`. A page that took long to make rests first.
   * Undefined when there is no such page, or nothing to show on it.
   */
  async make(url: string, maxAgeMs = 0): Promise<readonly Part[] | undefined> {
    const known = this.#known.get(url) ?? {}
    this.#known.delete(url)
    this.#known.set(url, known)
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= most) break
      this.#known.delete(oldest)
    }
    const { made } = known
    const ageMs = made ? performance.now() - made.at : Infinity
    if (made && ageMs < maxAgeMs) return made.parts
    const restMs = made ? restFactor * made.tookMs - ageMs : 0
    known.making ??= this.#make(url, known, restMs).finally(() => {
      known.making = undefined
    })
    await known.making
    return known.made?.parts
  }

  async #make(url: string, known: Known, restMs: number): Promise<void> {
    if (restMs > 0) await sleep(restMs, this.#signal)
    const at = performance.now()
    const response = await this.#app.request(url)
    const html = await response.text()
    const tookMs = performance.now() - at
    if (response.status === 200) known.made = { parts: readPage(html), at, tookMs }
    else delete known.made
  }
}
