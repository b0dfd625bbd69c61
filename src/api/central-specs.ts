import * as z from 'zod'
import { type Limits, siteParam } from './job-params.ts'
import { siteSpecs } from './other-specs.ts'
import { readSpecs, streamSpec } from './read-specs.ts'
import type { RouteSpec } from './route-spec.ts'

const either =
  'With `site` the answer of that site as it stands; without, all sites merged, and `sites` tells how each fared.'

const merging =
  'With `site` the stream of that site as it stands; without, those of all sites as one, and `event: sites` says which are not heard.'

/** The questions as the central API takes them: each with `site`. */
export function centralSpecs(limits: Limits): RouteSpec[] {
  const merged = readSpecs(limits).map((spec) => withSite(spec, siteOrAll, either))
  const streamed = withSite(streamSpec, siteOrAll, merging)
  return [...siteSpecs, ...merged, streamed]
}

const siteOrAll = siteParam('Only this site; all of them, merged, when it is absent.')

function withSite(spec: RouteSpec, site: z.ZodType, about: string): RouteSpec {
  const { description, query = z.object({}), problems = [], examples } = spec
  const statuses = new Set([...problems, 404, 502])
  return {
    ...spec,
    description: [description, about].filter((text) => text !== undefined).join(' '),
    query: z.object({ ...query.shape, site }),
    problems: [...statuses],
    ...(examples && {
      examples: examples.map((one) => ({ ...one, query: `site=fab1&${one.query}` })),
    }),
  }
}
