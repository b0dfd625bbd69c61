import * as z from 'zod'
import { isPlain, number } from '../platform/settings/kinds.ts'

const message = 'must be a list such as fab1=http://host:18000,fab2=http://host:18000'
const pattern =
  /^[A-Za-z0-9._-]{1,64}=https?:\/\/[^,\s]+(,[A-Za-z0-9._-]{1,64}=https?:\/\/[^,\s]+)*$/

export const sitesSettings = z.object({
  SITES: z
    .string(message)
    .regex(pattern, message)
    .refine(haveUrls, 'must give each site a URL without user, query or fragment')
    .refine(areDistinct, 'must name each site once, and none of them . or ..')
    .meta({
      description: 'Sites and their local APIs.',
      range: 'id=url, comma-separated',
      place: true,
    }),
  REQUEST_TIMEOUT_S: number('Maximum time to wait for a site.', {
    ...{ min: 0.1, max: 600, standard: 3, unit: 's' },
  }),
})

function haveUrls(sites: string): boolean {
  const urls = sites.split(',').map((site) => site.slice(site.indexOf('=') + 1))
  return urls.every((address) => URL.canParse(address) && isPlain(new URL(address)))
}

function areDistinct(sites: string): boolean {
  const ids = sites.split(',').map((site) => site.slice(0, site.indexOf('=')))
  return new Set(ids).size === ids.length && !ids.some((id) => id === '.' || id === '..')
}
