import { AppError } from '../core/errors.ts'
import { type RemoteSite, remoteReader } from './remote-reader.ts'

/** One site that the central API answers for. */
export type CentralSite = {
  id: string
  /** The address of its API, without a slash at the end. */
  url: string
  reader: RemoteSite
}

export type CentralSitesOptions = {
  /** `fab1=http://host:18000,fab2=http://host:18000`, as the configuration has checked it. */
  sites: string
  token?: string | undefined
  /** Longest wait for one site, in milliseconds. */
  timeoutMs: number
}

/** The sites of a SITES setting, each with its reader, in the order in which they are written. */
export function centralSites({ sites, token, timeoutMs }: CentralSitesOptions): CentralSite[] {
  return sites.split(',').map((entry) => {
    const equals = entry.indexOf('=')
    const url = entry.slice(equals + 1).replace(/\/+$/, '')
    return {
      id: entry.slice(0, equals),
      url,
      reader: remoteReader({ baseUrl: url, token, timeoutMs }),
    }
  })
}

/** The address as it may be shown: without a user or a password. */
export function shownUrl(url: string): string {
  const shown = new URL(url)
  shown.username = ''
  shown.password = ''
  return shown.href.replace(/\/+$/, '')
}

/** @throws AppError not_found that lists the sites there are */
export function siteCalled(id: string, sites: readonly CentralSite[]): CentralSite {
  const site = sites.find((one) => one.id === id)
  if (site) return site
  const known = sites.map((one) => one.id).join(', ')
  throw new AppError(
    'not_found',
    `there is no site ${JSON.stringify(id.slice(0, 64))}; there are ${known}`,
    {
      field: 'site',
    },
  )
}
