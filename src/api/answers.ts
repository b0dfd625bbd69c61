import * as z from 'zod'
import { eventSchema } from '../core/event.ts'
import { statuses } from '../core/job.ts'

/**
 * What answers look like, for the OpenAPI document. The tests hold every answer against these, so
 * they cannot drift from what is sent.
 */
const uuid = (description: string) => z.string().meta({ description, format: 'uuid' })
const time = (description: string) => z.string().meta({ description, format: 'date-time' })
const whole = (description: string) => z.int().min(0).describe(description)
const seconds = (description: string) => z.number().describe(`${description}, in seconds.`)
const text = (description: string) => z.string().describe(description)
const status = z.enum(statuses)

const shared = {
  app_id: uuid('The program, or one run of it.'),
  app_name: text('Name of the program.'),
  app_version: text('Version of the program; may be empty.'),
  site_id: text('The fab.'),
  status: status.describe('By its latest terminal event; running until there is one.'),
  started_at: time('When it started.'),
  ended_at: time('When it ended; null while it runs.').nullable(),
  duration_s: seconds('How long it took; null while it runs').nullable(),
  cpu_user_s: seconds('CPU time in user mode, the most that was reported').nullable(),
  cpu_system_s: seconds('CPU time in system mode, the most that was reported').nullable(),
  mem_max_mb: z.number().nullable().describe('Peak memory, the most that was reported, in MiB.'),
  progress: z.number().nullable().describe('The latest, 0 to 1.'),
  metrics: z.record(z.string(), z.number()).describe('The latest of every other metric.'),
  metadata: z.record(z.string(), z.unknown()).describe('Start, overlaid by progress, by the end.'),
  error_count: whole('Events of kind error, and failed ends.'),
  last_error: text('What the latest error said.').nullable(),
  last_event_at: time('Time of its latest event.'),
  event_count: whole('Distinct events.'),
  inserted_at: time('When the store first heard of it.'),
  updated_at: time('When the store last changed it.'),
  stuck: z.boolean().describe('Alive, but running far beyond its usual time.'),
  lost: z.boolean().describe('Running, and silent for longer than it should be.'),
  late: z.boolean().describe('Did not start when it was due.'),
  end_before_start: z
    .boolean()
    .describe('It ended before it began: a clock is wrong, duration is 0.'),
  usual: z
    .object({
      runs: whole('Runs that the figures are of.'),
      p05_s: seconds('Of twenty runs one is shorter'),
      p50_s: seconds('The median'),
      p95_s: seconds('Of twenty runs one is longer'),
    })
    .nullable()
    .describe(
      'How long runs of its kind (site, app, version, recipe) took that succeeded of late; null where fewer than 20 are known.',
    ),
}

const job = z.object({
  job_id: uuid('Its id.'),
  job_key: text('The business key, as a rule the lot.').nullable(),
  ...shared,
})
const subjob = z.object({
  subjob_id: uuid('Its id.'),
  job_id: uuid('The job or subjob it belongs to.').nullable(),
  sub_key: text('As a rule the wafer or the step.').nullable(),
  ...shared,
})
const reject = z.object({
  id: whole('Its number.'),
  sink: text('The sink that refused it.'),
  seq: whole('Its number in the spool.'),
  rejected_at: time('When it was refused.'),
  field: text('The field to blame; empty when it is the whole event.'),
  detail: text('What the sink said.'),
})
const counts = z.object({
  total: whole('Subjobs.'),
  running: whole('Of these running.'),
  succeeded: whole('Of these succeeded.'),
  failed: whole('Of these failed.'),
  canceled: whole('Of these canceled.'),
})
const gap = z.object({
  source: text('The spool.'),
  from: whole('First missing number.'),
  to: whole('Last missing number.'),
})
const completeness = z
  .object({
    as_of: time('When the store was asked.'),
    sources: whole('Spools that the store knows.'),
    gaps: z.array(gap).describe('Events that a spool numbered and the store has not received.'),
    oldest_source_age_s: seconds('Since the spool that is silent longest was heard').nullable(),
    skewed_sources: z.array(z.string()).describe('Spools whose senders have wrong clocks.'),
    hot_from: time('Where the hot store begins; what is older is in the archive.').nullable(),
    archive: z.enum(['used', 'available', 'off']),
  })
  .describe('What this answer may be missing.')

const siteAnswer = z.object({
  id: text('The site.'),
  status: z.enum(['successful', 'partial', 'failed', 'skipped']),
  age_s: seconds('Age of what it contributed; null when nothing').nullable(),
  duration_ms: z.number().describe('How long it took, in milliseconds.'),
  error: text('Why it failed.').nullable(),
})
const sites = z
  .object({
    total: whole('Sites.'),
    successful: whole('Answered in full.'),
    partial: whole('Answered, and know that events of theirs are missing.'),
    failed: whole('Did not answer in time.'),
    skipped: whole('Were not needed.'),
    details: z.array(siteAnswer),
  })
  .describe('Central, when asked without `site`: how each site fared.')

const around = {
  duration_s: seconds('How long the answer took'),
  sites: sites.optional(),
}
const listOf = (item: z.ZodType) =>
  z.object({ items: z.array(item), count: whole('Items here.'), ...around })
const pageOf = (item: z.ZodType) =>
  listOf(item).extend({
    next_cursor: text('For the next page; null on the last one.').nullable(),
    completeness,
  })

const app = z.object({
  app_id: uuid('Its latest id.'),
  name: text('Its name.'),
  version: text('Its latest version; may be empty.'),
  site_id: text('Where it runs.'),
  first_seen_at: time('When it was first heard.'),
  last_seen_at: time('When it was last heard.'),
})
const source = z.object({
  id: text('The spool.'),
  site: text('Central, when asked without `site`: the site that was asked.').optional(),
  epoch: text('Since when this spool exists.'),
  last_seq: whole('Number of its latest event.'),
  received: whole('How many of its events arrived.'),
  gaps: z.array(gap),
  last_seen_at: time('When it last delivered.'),
  last_at: time('Time of its latest event.'),
  lag_s: seconds('From the spool to the store, of its last delivery'),
  clock_offset_s: seconds("By which its senders' clocks run ahead (+) or behind (-)"),
})
const stat = (what: string) => seconds(`${what} of the durations`).nullable()
const statsRow = z.object({
  bucket: time('Begin of the bucket.'),
  site_id: text('Null unless grouped by site.').nullable(),
  app_name: text('Null unless grouped by app.').nullable(),
  status: status.nullable().describe('Null unless grouped by status.'),
  count: whole('Jobs.'),
  duration_avg_s: stat('Average'),
  duration_min_s: stat('Least'),
  duration_max_s: stat('Greatest'),
  duration_p50_s: stat('Median'),
  duration_p95_s: stat('95th percentile'),
  duration_p99_s: stat('99th percentile'),
})
const site = z.object({
  id: text('Its name in SITES.'),
  status: z.enum(['ok', 'degraded', 'unreachable']),
  age_s: seconds('Since it was asked; null when it does not answer').nullable(),
  endpoint: text('The address of its API.'),
  version: text('Its version.').nullable(),
  error: text('Why it does not answer.').nullable(),
})

const verdict = z.object({
  index: whole('Place in the batch, from 0.'),
  idempotency_key: text('Its key, when it could be read.').nullable(),
  field: text('Dotted path of the field that is to blame.'),
  detail: text('What is wrong, and what would be right.'),
  retryable: z.boolean().optional().describe('True when the same event may be sent again later.'),
})

/** Every named schema of the OpenAPI document. */
export const answers = {
  Event: eventSchema,
  EventBatch: z.array(eventSchema),
  Job: job,
  JobDetail: job.extend({ subjobs: counts, sites: sites.optional() }),
  SubjobDetail: subjob.extend({ subjobs: counts, sites: sites.optional() }),
  JobList: pageOf(job),
  Subjob: subjob,
  SubjobList: pageOf(subjob),
  JobsById: listOf(z.union([job, subjob])),
  EventList: listOf(eventSchema).extend({
    complete: z.boolean().describe('False when there may be more than `limit`.'),
  }),
  AppList: listOf(app),
  SourceList: listOf(source),
  StatsList: listOf(statsRow),
  SiteList: listOf(site),
  Accepted: z.object({
    ok: z.literal(true),
    duplicate: z.boolean().describe('Whether it was known before.'),
    duration_s: seconds('How long it took').optional(),
  }),
  BatchVerdict: z.object({
    ok: z.boolean().describe('True when the batch was processed.'),
    total: whole('Events in the batch.'),
    success: whole('Taken, known ones included.'),
    failed: whole('Refused.'),
    duplicates: whole('Of the taken: known before.'),
    rejected: z.array(verdict),
    duration_s: seconds('How long it took').optional(),
  }),
  RejectList: listOf(reject),
  Reject: reject.extend({
    event: z.record(z.string(), z.unknown()).describe('As it was offered.'),
  }),
  Done: z.object({ ok: z.literal(true) }),
  Health: z.looseObject({
    status: z.enum(['ok', 'degraded']),
    service: z.string(),
    version: z.string(),
  }),
  Problem: z
    .looseObject({
      type: z.string().describe('urn:wafermon:problem: and a word.'),
      title: z.string(),
      status: z.int(),
      detail: z.string().describe('What is wrong, and what would be right.'),
      field: z.string().optional().describe('The input that is to blame.'),
    })
    .describe('RFC 9457 problem details.'),
} as const

export type AnswerName = keyof typeof answers
