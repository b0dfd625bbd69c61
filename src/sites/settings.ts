import * as z from 'zod'
import { rule, withWarning } from '../platform/settings/group.ts'
import { isPlain, number } from '../platform/settings/kinds.ts'
import { parseSites } from './parse-sites.ts'

const message = 'must be a list such as fab1=http://host:18000,fab2=http://host:18000'
const pattern =
  /^[A-Za-z0-9._-]{1,64}=https?:\/\/[^,\s]+(,[A-Za-z0-9._-]{1,64}=https?:\/\/[^,\s]+)*$/

const tokensMessage = 'must be a list such as fab1=TOKEN,fab2=TOKEN that names each site once'

const settings = z.object({
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
  SITE_TOKENS: z
    .string(tokensMessage)
    .transform((value, ctx) => {
      const tokens = readTokens(value)
      if (!tokens) ctx.issues.push({ code: 'custom', message: tokensMessage, input: value })
      return tokens ?? new Map<string, string>()
    })
    .meta({
      description:
        'A token for each site, created there with `wafermon token new --scope read`. Sites that it does not name get LOCAL_API_TOKEN.',
      range: 'id=token, comma-separated',
      secret: true,
      place: true,
    })
    .optional(),
  REQUEST_TIMEOUT_S: number('Maximum time to wait for a site.', {
    ...{ min: 0.1, max: 600, standard: 3, unit: 's' },
  }),
})

type SitesConfig = z.infer<typeof settings>

export const sitesSettings = withWarning(
  settings.check(rule<SitesConfig>(findStranger)),
  ({ SITES = '', SITE_TOKENS, ...others }) => {
    const shared = 'LOCAL_API_TOKEN' in others && others.LOCAL_API_TOKEN !== undefined
    const without = parseSites(SITES).filter(({ id }) => !SITE_TOKENS?.has(id))
    if (!shared || without.length < 2) return undefined
    return `LOCAL_API_TOKEN: ${without.length} sites get the same token, so each could use it at the others; give each its own with SITE_TOKENS`
  },
)

function findStranger({ SITES, SITE_TOKENS }: Partial<SitesConfig>): string | undefined {
  if (typeof SITES !== 'string' || !(SITE_TOKENS instanceof Map)) return undefined
  const ids = new Set(parseSites(SITES).map(({ id }) => id))
  const stranger = [...SITE_TOKENS.keys()].find((id) => !ids.has(id))
  return stranger === undefined
    ? undefined
    : `SITE_TOKENS: names ${stranger}, which SITES does not; correct one of them`
}

/** Undefined when it cannot be read. A token is one word of ASCII, and those that we make hold no comma. */
function readTokens(value: string): ReadonlyMap<string, string> | undefined {
  const pairs = value
    .split(',')
    .map((part) => /^([A-Za-z0-9._-]{1,64})=([!-~]+)$/.exec(part.trim()))
  const tokens = new Map(pairs.flatMap((pair) => (pair ? [[pair[1]!, pair[2]!] as const] : [])))
  return tokens.size === pairs.length ? tokens : undefined
}

function haveUrls(sites: string): boolean {
  const urls = sites.split(',').map((site) => site.slice(site.indexOf('=') + 1))
  return urls.every((address) => URL.canParse(address) && isPlain(new URL(address)))
}

function areDistinct(sites: string): boolean {
  const ids = sites.split(',').map((site) => site.slice(0, site.indexOf('=')))
  return new Set(ids).size === ids.length && !ids.some((id) => id === '.' || id === '..')
}
