/** The outcome of asking one of several sites. */
export type SiteAnswer = {
  id: string
  /**
   * `partial`: it answered, and knows that events of it are missing. `skipped`: the question was
   * answered without it.
   */
  status: 'successful' | 'partial' | 'failed' | 'skipped'
  /** Age of what it contributed, in seconds; null when it contributed nothing. */
  age_s: number | null
  duration_ms: number
  error: string | null
}

/** The sites that an answer over several of them comes from. The four counts add up to `total`. */
export type SitesReport = {
  total: number
  successful: number
  partial: number
  failed: number
  skipped: number
  details: SiteAnswer[]
}
