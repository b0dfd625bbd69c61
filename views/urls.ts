export type Query = Record<string, string | readonly string[] | undefined>

/** A path with a query, escaped; absent and empty values are left out, lists are repeated. */
export function withQuery(path: string, query: Query): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const one of typeof value === 'string' ? [value] : (value ?? [])) {
      if (one !== '') params.append(name, one)
    }
  }
  return params.size > 0 ? `${path}?${params}` : path
}

export const jobPath = (id: string, site?: string): string =>
  withQuery(`/jobs/${encodeURIComponent(id)}`, { site })

/** The form that closes a job. */
export const jobClosePath = (id: string, site?: string): string =>
  withQuery(`/jobs/${encodeURIComponent(id)}/close`, { site })

/**
 * An address found in data, when a browser may safely open it: http or https. Undefined for
 * `javascript:`, `data:` and the like, which are shown as text.
 */
export function safeLink(value: unknown): string | undefined {
  if (typeof value !== 'string' || !/^https?:\/\//i.test(value) || !URL.canParse(value)) {
    return undefined
  }
  const { protocol } = new URL(value)
  return protocol === 'http:' || protocol === 'https:' ? value : undefined
}
