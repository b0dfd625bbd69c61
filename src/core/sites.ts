/** The outcome of a question at one of several sites. */
export type SiteAnswer = {
  id: string
  /**
   * `partial`: it answered, and knows that events of its own are missing, or of silent sidecars. `skipped`: the question was
   * answered without it.
   */
  status: 'successful' | 'partial' | 'failed' | 'skipped'
  /** Age of its part of the answer, in seconds; null when it has none. */
  age_s: number | null
  duration_ms: number
  error: string | null
}

/** The sites of an answer over several of them. The four counts add up to `total`. */
export type SitesReport = {
  total: number
  successful: number
  partial: number
  failed: number
  skipped: number
  details: SiteAnswer[]
}

/** The sites that are missing from a merged answer, of how many. */
export type MissingSites = { total: number; missing: string[] }
