import { maxAttempts } from '../../src/core/attempts.ts'
import type { Attempt, Job } from '../../src/core/job.ts'
import type { Micros } from '../../src/core/time.ts'
import { count, cut, duration, number, when } from '../format.ts'
import { isStartKnown } from '../job-text.ts'
import { type Column, DataTable } from './data-table.tsx'
import { Panel } from './panel.tsx'
import { Status } from './status.tsx'

type Props = { job: Job; attempts: readonly Attempt[]; now: Micros }

/** The tries of a job, the newest first; nothing for a job that was tried once. */
export function AttemptsPanel({ job, attempts, now }: Props) {
  if (job.attempt === 1 && attempts.length <= 1) return null
  return (
    <Panel title="Attempts" note={noteOf(job, attempts)}>
      <DataTable
        caption="Attempts, newest first"
        stack
        columns={columns(job, now)}
        rows={attempts}
        empty="This site does not tell them apart: it runs an earlier version."
      />
    </Panel>
  )
}

/** How many there were, and how many of them are listed. */
function noteOf({ attempt }: Job, attempts: readonly Attempt[]): string {
  if (attempts.length === attempt) return `all ${number(attempt)}, newest first`
  const all = `${number(attempts.length)} of ${count(attempt, 'attempt')}`
  if (attempts.length >= maxAttempts) return `the newest ${all}`
  return `${all}: of the others nothing was reported`
}

const columns = (job: Job, now: Micros): Column<Attempt>[] => [
  { head: 'Attempt', rowHeader: true, class: 'k', cell: ({ attempt }) => `attempt ${attempt}` },
  { head: 'Status', cell: ({ status }) => <Status of={status} /> },
  {
    head: 'Queued for',
    number: true,
    rare: true,
    folded: 'queued',
    cell: ({ queueS }) => duration(queueS),
  },
  { head: 'Started', cell: (one) => (isStartKnown(one) ? when(one.startedAt, now) : '') },
  { head: 'Ended', cell: (one) => endText(job, one, now) },
  { head: 'Took', number: true, cell: ({ durationS }) => duration(durationS) },
  {
    head: 'Exit code',
    number: true,
    folded: 'exit',
    cell: ({ exitCode }) => cut(exitCode ?? '', 40),
  },
  {
    head: 'Last error',
    class: 'x br',
    cell: ({ lastError }) => cut(toLine(lastError ?? ''), 200),
  },
]

/** An earlier attempt that reported no end did end: a later one followed. */
const endText = (job: Job, { attempt, endedAt }: Attempt, now: Micros): string =>
  endedAt === null && attempt < job.attempt ? 'no end reported' : when(endedAt, now)

const toLine = (text: string) => text.replaceAll(/\s+/g, ' ')
