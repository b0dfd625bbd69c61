import * as z from 'zod'
import { listAnswer, named, seconds, text } from './answers.ts'
import { noParams } from './query-params.ts'
import { secondsSince, toList } from './reader-source.ts'
import { type Route, route } from './route.ts'

const site = z.object({
  id: text('Id of the site, as in SITES.'),
  status: z.enum(['ok', 'degraded', 'unreachable']),
  age_s: seconds(
    'Age of this information, in seconds; null when the site does not answer.',
  ).nullable(),
  endpoint: text('Address of its API.'),
  version: text('Its version.').nullable(),
  error: text('Why it does not answer.').nullable(),
})
const siteList = named(
  'SiteList',
  listAnswer(site).extend({
    sites: z
      .array(site.pick({ id: true, endpoint: true }))
      .describe('The same sites, for programs of the system before: id and address alone.'),
  }),
)

/** The health of one site. */
export type SiteView = z.infer<typeof site>

export function siteRoutes({ list }: { list: () => Promise<SiteView[]> }): Route[] {
  return [
    route({
      method: 'get',
      path: '/v1/sites',
      tag: 'Sites',
      summary: 'Lists the sites: status, age, address',
      scope: 'read',
      query: noParams,
      answer: { 'application/json': [siteList] },
      problems: [422],
      async handle(c) {
        const started = performance.now()
        const sites = await list()
        const addresses = sites.map(({ id, endpoint }) => ({ id, endpoint }))
        return c.json({ ...toList(sites), sites: addresses, duration_s: secondsSince(started) })
      },
    }),
  ]
}
