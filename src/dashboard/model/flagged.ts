import { count, number } from '../../../views/format.ts'
import type { Notice } from '../../../views/page.ts'
import type { Flag } from '../../core/job.ts'
import { mostJudged, type Running, type RunningTotals } from '../../core/questions/running.ts'

export function sumRunning(rows: readonly Running[]): RunningTotals {
  const sum = (key: Exclude<keyof RunningTotals, 'complete'>) =>
    rows.reduce((total, row) => total + row[key], 0)
  return {
    running: sum('running'),
    lost: sum('lost'),
    stuck: sum('stuck'),
    late: sum('late'),
    lateQueued: sum('lateQueued'),
    flagged: sum('flagged'),
    lostNotJudged: sum('lostNotJudged'),
    stuckNotJudged: sum('stuckNotJudged'),
    complete: rows.every(({ complete }) => complete),
  }
}

/** What a list of flagged jobs cannot know: nothing is called well that was not judged. */
export function judgedNotices(
  { lostNotJudged, stuckNotJudged, complete }: RunningTotals,
  flags: readonly Flag[],
): Notice[] {
  const notices: Notice[] = []
  const n = Math.max(
    flags.includes('lost') ? lostNotJudged : 0,
    flags.includes('stuck') ? stuckNotJudged : 0,
  )
  if (n > 0) {
    notices.push({
      kind: 'stale',
      title: `${count(n, 'running job')} not judged: no history yet`,
      detail: 'Nothing like them has run 20 times. They may be lost or stuck and are not listed.',
    })
  }
  if (!complete) {
    notices.push({
      kind: 'stale',
      title: `Only the newest ${number(mostJudged)} running jobs were judged`,
      detail: 'There are more running jobs than that.',
    })
  }
  return notices
}
