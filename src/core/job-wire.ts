import * as z from 'zod'
import { completenessTable } from './completeness-wire.ts'
import type { Attempt, Job, JobDetail, SubjobCounts, Usual } from './job.ts'
import { statuses } from './job.ts'
import {
  choice,
  type Field,
  flag,
  makeTable,
  number,
  orElse,
  orNull,
  readAs,
  record,
  text,
  time,
  uuid,
  type Wire,
  whole,
} from './wire-table.ts'

export const usualTable = makeTable<Usual>('usual times', {
  runs: whole('Number of runs that the figures are computed from.'),
  p05S: number('5th percentile, in seconds.'),
  p50S: number('Median, in seconds.'),
  p95S: number('95th percentile, in seconds.'),
})

/** Undefined here is null on the wire. */
const usual: Field<Usual | undefined> = {
  shown: usualTable.shown
    .nullable()
    .describe(
      'Duration of recent successful runs of the same kind (site, app, version, recipe); null when fewer than 20 are known.',
    ),
  read: usualTable.read.nullish().transform((given) => given ?? undefined) as z.ZodType<
    Usual | undefined
  >,
  write: (given) => (given ? usualTable.toWire(given) : null),
}

const isNumber = (value: unknown) => typeof value === 'number'

/** Shared by jobs and subjobs: every field of {@link Job} but those that tell the two apart. */
const shared = {
  appId: uuid('Id of the app, or of one run of it.'),
  appName: text('Name of the app.'),
  appVersion: orElse(text('Version of the app; may be empty.'), ''),
  siteId: text('The site (fab).'),
  status: choice(
    statuses,
    'From the latest terminal event; until there is one queued or running. Unknown: it ended, and how is not known.',
  ),
  startedAt: time('When it started; until it is known, its first event.'),
  endedAt: orNull(time('When it ended; null while it runs.')),
  durationS: orNull(
    number('Duration in seconds; null while it runs, and where a job that waited told no start.'),
  ),
  cpuUserS: orNull(number('CPU time in user mode in seconds, the maximum reported.')),
  cpuSystemS: orNull(number('CPU time in system mode in seconds, the maximum reported.')),
  memMaxMb: orNull(number('Peak memory in MiB, the maximum reported.')),
  progress: orNull(number('The latest reported, 0 to 1.')),
  metrics: orElse(record(z.number(), isNumber, 'The latest value of every other metric.'), {}),
  metadata: orElse(
    record(
      z.unknown(),
      () => true,
      'Metadata of the latest queued, overlaid by that of the start, then of the latest progress, then of the end.',
    ),
    {},
  ),
  errorCount: orElse(whole('Events of kind error, and failed ends.'), 0),
  lastError: orNull(text('Text of the latest error.')),
  lastEventAt: time('Time of its latest event.'),
  eventCount: orElse(whole('Number of distinct events.'), 0),
  insertedAt: time('When the store received its first event.'),
  updatedAt: time('When the store last changed it.'),
  stuck: orElse(flag('Running, not lost, and far beyond its usual duration.'), false),
  lost: orElse(flag('Running, and silent for longer than expected.'), false),
  late: orElse(flag('Not started when it was due: it started later, or still waits.'), false),
  endBeforeStart: orElse(
    flag('It ended before it started: a clock is wrong, and the duration is 0.'),
    false,
  ),
  usual,
} satisfies { [K in keyof Omit<Job, keyof Own | keyof Later>]-?: Field<Job[K]> }

/** What came later, at the end: it moves no column of a CSV file. An older site sends none of it. */
const later = {
  attempt: orElse(whole('Which try this is, from 1; all that is shown is of it.'), 1),
  failedAttempts: orElse(
    whole('Tries that failed, this one included, among the newest 16 that reported.'),
    0,
  ),
  queuedAt: orNull(time('When it was first queued; null when it never was.')),
  queueS: orNull(number('Seconds from there to its start; null until it starts.')),
  truncated: orElse(flag('It sent more metadata than is kept: values were cut.'), false),
  lastQueuedAt: orNull(
    time(
      'Its latest queued: since when it waits, where it waits again after its start. Null when it never was.',
    ),
  ),
} satisfies { [K in keyof Later]-?: Field<Job[K]> }
type Later = Pick<
  Job,
  'attempt' | 'failedAttempts' | 'queuedAt' | 'queueS' | 'truncated' | 'lastQueuedAt'
>

type Own = Pick<Job, 'id' | 'entityType' | 'parentId' | 'jobKey' | 'subKey'>

/** A job as `GET /v1/jobs` shows it. */
export const jobTable = makeTable<Omit<Job, 'entityType' | 'parentId' | 'subKey'>>('a job', {
  id: { ...uuid('Id of the job.'), name: 'job_id' },
  jobKey: orNull(text('The business key, usually the lot.')),
  ...shared,
  ...later,
})

/** A subjob as `GET /v1/subjobs` shows it. */
export const subjobTable = makeTable<Omit<Job, 'entityType'>>('a subjob', {
  id: { ...uuid('Id of the subjob.'), name: 'subjob_id' },
  parentId: { ...orNull(uuid('The job or subjob it belongs to.')), name: 'job_id' },
  subKey: orNull(text('Usually the wafer or the step.')),
  ...shared,
  // Last, where it moves no column of a CSV file.
  jobKey: orNull(text('Its business key, or else that of the job it belongs to: usually the lot.')),
  ...later,
})

export const jobToWire = (job: Job): Wire => tableFor(job).toWire(job)

/** Its fields in the order of `jobTable.names` or `subjobTable.names`. */
export const jobToValues = (job: Job): unknown[] => tableFor(job).toValues(job)

const tableFor = ({ entityType }: Job) => (entityType === 'job' ? jobTable : subjobTable)

/** @throws AppError invalid, when the JSON is not a job or subjob */
export function jobFromWire(json: unknown): Job {
  // Null and absent mean the same on the wire.
  return (json as Partial<Wire> | null)?.subjob_id != null
    ? { ...subjobTable.fromWire(json), entityType: 'subjob' }
    : { ...jobTable.fromWire(json), entityType: 'job', parentId: null, subKey: null }
}

/** Sent as held: the names are alike. */
export const countsTable = makeTable<SubjobCounts>('counts of subjobs', {
  total: whole('All subjobs.'),
  queued: orElse(whole('Subjobs that wait for their start.'), 0),
  running: whole('Running subjobs.'),
  succeeded: whole('Succeeded subjobs.'),
  failed: whole('Failed subjobs.'),
  canceled: whole('Canceled subjobs.'),
  unknown: orElse(whole('Subjobs that ended, and how is not known.'), 0),
})

/** A try of a job, as `GET /v1/jobs/{id}` shows it. */
export const attemptTable = makeTable<Attempt>('an attempt', {
  attempt: whole('Its number, from 1.'),
  status: choice(statuses, 'How it ended; unknown also for an earlier one that reported no end.'),
  queuedAt: orNull(time('When it was first queued; null when it never was.')),
  queueS: orNull(number('Seconds from there to its start; null until it starts.')),
  startedAt: time('When it started.'),
  endedAt: orNull(time('When it ended; null while it runs, and where it reported no end.')),
  durationS: orNull(number('Duration in seconds; null without an end.')),
  exitCode: orNull(text('`metadata.exit_code` of its end.')),
  lastError: orNull(text('The first 200 characters of its latest error.')),
})

/** `GET /v1/jobs/{id}`: the job itself with the counts of its subjobs, and its attempts. */
export const detailToWire = ({ job, subjobs, attempts, completeness }: JobDetail): Wire => ({
  ...jobToWire(job),
  subjobs,
  attempts: attempts.map(attemptTable.toWire),
  ...(completeness ? { completeness: completenessTable.toWire(completeness) } : {}),
})

/** An older site sends neither attempts nor completeness. */
const detailSchema = z.object({
  subjobs: countsTable.read,
  attempts: z
    .array(attemptTable.read)
    .nullish()
    .transform((given) => given ?? []),
  completeness: completenessTable.read.nullish(),
})

/** @throws AppError invalid, when the JSON is not a job with the counts of its subjobs */
export function detailFromWire(json: unknown): JobDetail {
  const { subjobs, attempts, completeness } = readAs(detailSchema, json, 'a job with its subjobs')
  return { job: jobFromWire(json), subjobs, attempts, ...(completeness ? { completeness } : {}) }
}
