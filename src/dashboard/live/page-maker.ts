import { Hono, type MiddlewareHandler } from 'hono'
import type { Fresh } from '../../../views/page.ts'
import { sleep } from '../../platform/backoff.ts'
import type { Visitor } from '../access.ts'
import type { DashboardPage } from '../define-page.tsx'
import { withVisit } from '../respond.tsx'
import { assessFreshness, type RouteContext } from '../visit.ts'
import { type Part, readPage } from './parts.ts'

/** A page that takes long is made less often, so that it is being made half of the time at most. */
const restFactor = 2
/** Maximum pages kept; each is one that is open somewhere, or was a moment ago. */
const most = 200

/** What came of making a page. */
export type Outcome = {
  /** How current the answers are that it was made from. */
  fresh: Fresh
  /** Undefined when it could not be made: there is no such page, or nothing to show on it. */
  parts: readonly Part[] | undefined
  /** Why it could not, as a sentence. */
  fault: string
  /** When its making began, in the time of `performance.now()`: later changes may not be in it. */
  at: number
  /** The same of the last making that brought a page. */
  goodAt: number | undefined
}

type Made = Outcome & { tookMs: number }
type Known = { made?: Made; making?: Promise<Outcome> | undefined }

/** The parts that differ from one visitor to another are not made again. */
const asAnonymous: MiddlewareHandler = async (c, next) => {
  c.set('visitor', { kind: 'anonymous' } satisfies Visitor)
  await next()
}

/** What a making tells beside its response. */
type Told = { fresh?: Fresh }

/**
 * Makes open pages again: once for all windows that show the same address, by the same code that
 * answers a browser. The address is all that it needs, so nothing of one visitor reaches another.
 */
export class PageMaker {
  readonly #app = new Hono<{ Bindings: Told }>()
  readonly #known = new Map<string, Known>()
  readonly #signal: AbortSignal

  constructor(context: RouteContext, pages: readonly DashboardPage[]) {
    this.#signal = context.dashboard.signal
    this.#app.use(asAnonymous)
    for (const { path, answer } of pages) {
      this.#app.get(path, (c) =>
        withVisit(context, c, async (visit) => {
          try {
            return await answer(visit)
          } finally {
            c.env.fresh = assessFreshness(visit)
          }
        }),
      )
    }
  }

  /** The page, made within the last `maxAgeMs`. A page that took long to make rests first. */
  make(url: string, maxAgeMs = 0): Promise<Outcome> {
    const known = this.#known.get(url) ?? {}
    this.#known.delete(url)
    this.#known.set(url, known)
    for (const oldest of this.#known.keys()) {
      if (this.#known.size <= most) break
      this.#known.delete(oldest)
    }
    const { made } = known
    const ageMs = made ? performance.now() - made.at : Infinity
    if (made?.parts && ageMs < maxAgeMs) return Promise.resolve(made)
    const restMs = made ? restFactor * made.tookMs - ageMs : 0
    known.making ??= this.#make(url, known, restMs).finally(() => {
      known.making = undefined
    })
    return known.making
  }

  /** What came of the last making, however long ago; undefined while the first one lasts. */
  last(url: string): Outcome | undefined {
    return this.#known.get(url)?.made
  }

  async #make(url: string, known: Known, restMs: number): Promise<Outcome> {
    if (restMs > 0) await sleep(restMs, this.#signal)
    const at = performance.now()
    const told: Told = {}
    const response = await this.#app.request(url, undefined, told)
    const html = await response.text()
    const tookMs = performance.now() - at
    const { fresh = { state: 'loaded' } } = told
    const parts = response.status === 200 ? readPage(html) : undefined
    const fault = parts ? '' : describeFault(response.status, fresh)
    const goodAt = parts ? at : known.made?.goodAt
    known.made = { parts, fresh, fault, at, goodAt, tookMs }
    return known.made
  }
}

/** Why a page that was there before cannot be made any more. */
function describeFault(status: number, fresh: Fresh): string {
  if ('reason' in fresh && fresh.reason !== undefined) return fresh.reason
  if (status === 404) return 'What it shows is not there any more.'
  if (status === 422) return 'The API refuses what it asks.'
  return 'It cannot be made; the log of the web role has the reason.'
}
