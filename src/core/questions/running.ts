import { toQuery } from '../filter-wire.ts'
import type { JobFilter } from '../job.ts'
import { flag, makeTable, orElse, text, whole } from '../wire-table.ts'
import type { Question } from './question.ts'

/** The running jobs of a site, judged one by one, and those that wait past their time; lost, stuck and late as in `job-health.ts`. */
export type Running = {
  siteId: string
  running: number
  lost: number
  stuck: number
  /** Running or waiting. */
  late: number
  /** Of these, those that still wait. */
  lateQueued: number
  /** Any of the three; a job may be two of them. */
  flagged: number
  /** Running jobs without a heartbeat and without history of their kind: whether they are lost is unknown. */
  lostNotJudged: number
  /** The same without a limit of their own: whether they are stuck is unknown. None of the lost, which are not stuck. */
  stuckNotJudged: number
  complete: boolean
}

/** The running jobs of all sites together. */
export type RunningTotals = Omit<Running, 'siteId'>

/** Maximum running jobs that are judged, the newest; a fab has a few thousand. */
export const mostJudged = 200_000

/** All running jobs, and all that wait past their time, whenever they began, by site. */
export const runningQuestion: Question<
  Pick<JobFilter, 'site' | 'appName' | 'exactApp'>,
  Running
> = {
  name: 'running',
  path: '/v1/running',
  toQuery: ({ site, appName, exactApp }) =>
    toQuery({ site, app_name: appName, exact_app: exactApp }),
  table: makeTable<Running>('counts of running jobs', {
    siteId: text('The site.'),
    running: whole('Running jobs, whenever they began.'),
    lost: whole('Running, and silent for longer than expected.'),
    stuck: whole('Running, not lost, and far beyond the usual duration.'),
    late: whole('Not started when it was due: it started later and runs, or still waits.'),
    lateQueued: orElse(whole('Of the late, those that still wait.'), 0),
    flagged: whole('Any of the three.'),
    lostNotJudged: whole(
      'Cannot be judged as lost: no heartbeat, and no history of their kind yet.',
    ),
    stuckNotJudged: whole(
      'Not lost, and cannot be judged as stuck: no limit, and no history of their kind yet.',
    ),
    complete: flag(
      `False when there are more running jobs, or more late ones that wait: the newest ${mostJudged.toLocaleString('en-US')} of each are judged.`,
    ),
  }),
  merge: (answers) => answers.flatMap(({ items }) => items),
}
