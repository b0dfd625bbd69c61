/** One entry of a SITES setting. */
export type SiteAddress = {
  id: string
  /** The address of its API, without a slash at the end. */
  url: string
}

/** The sites of `fab1=http://host:18000,fab2=...`, as the configuration has checked it, in its order. */
export function parseSites(setting: string): SiteAddress[] {
  return setting.split(',').map((entry) => {
    const equals = entry.indexOf('=')
    return { id: entry.slice(0, equals), url: entry.slice(equals + 1).replace(/\/+$/, '') }
  })
}

/** The address without a user or a password, as it may be shown. */
export function withoutSecrets(url: string): string {
  const shown = new URL(url)
  shown.username = ''
  shown.password = ''
  return shown.href.replace(/\/+$/, '')
}
