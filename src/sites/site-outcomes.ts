import { AppError } from '../core/errors.ts'
import type { SiteAnswer, SitesReport } from '../core/sites.ts'

/** The outcome of one question per site. A site without an outcome was skipped. */
export class SiteOutcomes {
  readonly #ids: readonly string[]
  readonly #answers = new Map<string, SiteAnswer>()
  readonly #started = performance.now()

  constructor(ids: readonly string[]) {
    this.#ids = ids
  }

  succeeded(id: string): void {
    this.#note(id, { status: 'successful', age_s: 0, error: null })
  }

  /** It answered, and reports that events of its own are missing. */
  partial(id: string): void {
    const answer = this.#answers.get(id)
    if (answer) answer.status = 'partial'
  }

  failed(id: string, error: unknown): void {
    this.#note(id, { status: 'failed', age_s: null, error: reasonOf(error) })
  }

  #note(id: string, answer: Pick<SiteAnswer, 'status' | 'age_s' | 'error'>): void {
    this.#answers.set(id, { id, ...answer, duration_ms: this.#elapsed() })
  }

  #elapsed(): number {
    return Math.round((performance.now() - this.#started) * 1000) / 1000
  }

  report(): SitesReport {
    const details = this.#ids.map((id) => this.#answers.get(id) ?? this.#skipped(id))
    const count = (status: SiteAnswer['status']) =>
      details.filter((answer) => answer.status === status).length
    return {
      total: details.length,
      successful: count('successful'),
      partial: count('partial'),
      failed: count('failed'),
      skipped: count('skipped'),
      details,
    }
  }

  #skipped(id: string): SiteAnswer {
    return { id, status: 'skipped', age_s: null, duration_ms: this.#elapsed(), error: null }
  }

  /** The error of a question that cannot be answered because sites failed. */
  toError(what: string): AppError {
    const failed = this.report().details.filter(({ status }) => status === 'failed')
    const reasons = failed.map(({ id, error }) => `${id}: ${error}`).join('; ')
    return new AppError('unreachable', `${what} (${reasons})`, { retryAfterS: 5 })
  }
}

/** Only errors that we understand are shown; the log of the site has the rest. */
const reasonOf = (error: unknown): string =>
  error instanceof AppError ? error.message : 'failed unexpectedly'
