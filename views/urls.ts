/** Addresses of the pages, in one place. Data never makes an address by itself. */
export type Query = Record<string, string | readonly string[] | undefined>

/** A path with a query; absent and empty values are left out, lists are repeated. */
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

/**
 * An address found in data, when it is one that a browser may safely open: http or https.
 * `javascript:`, `data:` and the like are no links, they are text.
 */
export function safeLink(value: unknown): string | undefined {
  if (typeof value !== 'string' || !/^https?:\/\//i.test(value) || !URL.canParse(value)) {
    return undefined
  }
  const { protocol } = new URL(value)
  return protocol === 'http:' || protocol === 'https:' ? value : undefined
}
