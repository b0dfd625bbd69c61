import type { App, StatsRow } from './job.ts'
import { statuses } from './job.ts'
import { makeTable, number, oneOf, orElse, orNull, text, time, uuid, whole } from './wire-table.ts'

/** A program, as `GET /v1/apps` shows it. */
export const appTable = makeTable<App>('an app', {
  appId: uuid('Its latest id.'),
  name: text('Its name.'),
  version: orElse(text('Its latest version; may be empty.'), ''),
  siteId: text('The site it runs at.'),
  firstSeenAt: time('When it first reported.'),
  lastSeenAt: time('When it last reported.'),
})

const ofDurations = (what: string) =>
  orNull(number(`${what} duration in seconds; null when there is none.`))

/** A group of jobs, as `GET /v1/stats` shows it. */
export const statsTable = makeTable<StatsRow>('a row of statistics', {
  bucket: time('Start of the bucket.'),
  siteId: orNull(text('Null unless grouped by site.')),
  appName: orNull(text('Null unless grouped by app.')),
  status: orNull(oneOf(statuses, 'Null unless grouped by status.')),
  count: whole('Number of jobs.'),
  durationAvgS: ofDurations('Average'),
  durationMinS: ofDurations('Minimum'),
  durationMaxS: ofDurations('Maximum'),
  durationP50S: ofDurations('Median'),
  durationP95S: ofDurations('95th percentile'),
  durationP99S: ofDurations('99th percentile'),
})
