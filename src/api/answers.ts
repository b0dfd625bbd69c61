import * as z from 'zod'
import { completenessTable } from '../core/completeness-wire.ts'
import { eventSchema } from '../core/event.ts'
import { jobTable, subjobTable } from '../core/job-wire.ts'
import { must } from '../core/must.ts'
import { totalTable } from '../core/page-wire.ts'

/*
 * The shapes of answers, for the OpenAPI document. A resource names its own beside its routes; here
 * are those that several share. The tests hold every answer against them, so they cannot drift from
 * what is sent.
 */

const names = z.registry<{ id: string }>()
const home = '#/components/schemas/'

/** Makes a schema a component of the OpenAPI documents whose routes refer to it. */
export function named<T extends z.ZodType>(name: string, schema: T): T {
  names.add(schema, { id: name })
  return schema
}

export const refTo = (schema: z.ZodType) => ({
  $ref: home + must(names.get(schema), 'routes refer to named schemas only').id,
})

/** Names of the components that a JSON schema refers to. */
export const refsIn = (schema: unknown): string[] =>
  [...JSON.stringify(schema ?? {}).matchAll(/"#\/components\/schemas\/(\w+)"/g)].map(([, name]) =>
    must(name, 'the pattern has a group'),
  )

/** Every named schema as JSON Schema. @param closed refuses undocumented fields: for tests */
export function makeComponents(closed: boolean): Record<string, Record<string, unknown>> {
  // Answers may get more fields one day, so only tests are told that there are no others.
  const io = closed ? 'output' : 'input'
  const { schemas } = z.toJSONSchema(names, { io, uri: (id) => home + id })
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $schema: _, $id: __, id: ___, ...schema }]) => [
      name,
      schema,
    ]),
  )
}

export const whole = (description: string) => z.int().min(0).describe(description)
export const seconds = (description: string) => z.number().describe(description)
export const text = (description: string) => z.string().describe(description)
export const time = (description: string) => z.string().meta({ description, format: 'date-time' })

const siteAnswer = z.object({
  id: text('The site.'),
  status: z.enum(['successful', 'partial', 'failed', 'skipped']),
  age_s: seconds('Age of its part of the answer, in seconds; null when it has none.').nullable(),
  duration_ms: z.number().describe('Time until it answered, in milliseconds.'),
  error: text('Why it failed.').nullable(),
})

/** Central, when asked without `site`. */
export const sitesReport = z
  .object({
    total: whole('Number of sites.'),
    successful: whole(
      'Sites that answered. Only lists and counts of jobs say whether events of theirs are missing.',
    ),
    partial: whole(
      'For lists and counts of jobs: sites that answered, and know of events that are missing, or of silent sidecars.',
    ),
    failed: whole('Sites that did not answer in time.'),
    skipped: whole('Sites that were not needed.'),
    details: z.array(siteAnswer),
  })
  .describe('Central, when asked without `site`: the outcome per site.')

/** A list that comes whole. */
export const listAnswer = (item: z.ZodType) =>
  z.object({
    items: z.array(item),
    count: whole('Number of items in this answer.'),
    duration_s: seconds('Time to answer, in seconds.'),
    sites: sitesReport.optional(),
  })

/** A list of counts, which comes whole. */
export const countsAnswer = (item: z.ZodType) =>
  listAnswer(item).extend({
    partial: z
      .boolean()
      .describe(
        'True when jobs may be missing: events are known to be missing, a sidecar is silent, or a site did not answer.',
      ),
    cut: z
      .boolean()
      .describe('True when not everything is counted or listed: each count is a minimum.'),
  })

/** A list that comes in pages. */
export const pagesAnswer = (item: z.ZodType) =>
  listAnswer(item).extend({
    next_cursor: text('Cursor of the next page; null on the last page.').nullable(),
  })

/** A page of jobs or subjobs. */
export const pageAnswer = (item: z.ZodType) =>
  pagesAnswer(item).extend({
    total: totalTable.shown.optional().describe('Only with `flag`.'),
    completeness: completenessTable.shown.describe('What may be missing from this answer.'),
  })

export const event = named('Event', eventSchema)
export const job = named('Job', jobTable.shown)
export const subjob = named('Subjob', subjobTable.shown)

export const problem = named(
  'Problem',
  z
    .looseObject({
      type: z.string().describe('`urn:wafermon:problem:` and a word.'),
      title: z.string(),
      status: z.int(),
      detail: z.string().describe('The error and its remedy.'),
      field: z.string().optional().describe('The invalid input.'),
    })
    .describe('RFC 9457 problem details.'),
)
