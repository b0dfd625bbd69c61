import type { Job, TimeField } from '../../src/core/job.ts'
import type { Micros } from '../../src/core/time.ts'
import { cut, number, percent, when } from '../format.ts'
import {
  attemptText,
  cpuSeconds,
  elapsedS,
  elapsedText,
  isStartKnown,
  jobName,
  metadataText,
  queueText,
  toolText,
} from '../job-text.ts'
import { waitReason } from '../known-metadata.ts'
import { jobPath } from '../urls.ts'
import { type Column, DataRow, DataTable } from './data-table.tsx'
import { Status, shownStatus } from './status.tsx'
import { Strip } from './strip.tsx'

type RowContext = {
  now: Micros
  site: string | undefined
  /** The time that orders the list, which each row shows. */
  time: TimeField
}
type JobColumn = Column<Job>

type TableProps = RowContext & {
  jobs: readonly Job[]
  caption: string
  sorted: JobColumn['sorted']
}

/** The jobs of a list, one row each, with the heading in sight. */
export function JobsTable({ jobs, now, site, time, caption, sorted }: TableProps) {
  return (
    <DataTable
      caption={caption}
      class="stick jobs"
      stack
      columns={listColumns({ now, site, time }, sorted)}
      rows={jobs}
      rowId={rowId}
    />
  )
}

/** One row of the list, alone. */
export function JobRow({ job, ...context }: RowContext & { job: Job }) {
  return <DataRow columns={listColumns(context)} row={job} id={rowId(job)} stack />
}

const rowId = ({ id }: Job) => `job-${id}`

function listColumns({ now, site, time }: RowContext, sorted?: JobColumn['sorted']): JobColumn[] {
  return [
    { ...statusColumn(), class: 's' },
    keyColumn('Key', site),
    { ...timeColumn(time, now), sorted },
    queueColumn(now),
    { head: 'App', class: 'cut', cell: ({ appName }) => cut(appName, 60) },
    toolColumn,
    { head: 'Recipe', class: 'cut', cell: (job) => metadataText(job, 'recipe') },
    { ...elapsedColumn('Duration', now), folded: 'took' },
    {
      head: 'Against usual',
      cell: (job) => <Strip job={job} seconds={elapsedS(job, now)} />,
    },
    { head: 'Done', number: true, cell: doneText },
    { head: 'CPU s', number: true, folded: 'CPU s', cell: (job) => number(cpuSeconds(job), 1) },
    {
      head: 'Memory MiB',
      number: true,
      folded: 'MiB',
      cell: ({ memMaxMb }) => number(memMaxMb),
    },
    { ...errorColumn('Last error', 120), title: (job) => trouble(job) || undefined },
  ]
}

function Key({ job, site }: { job: Job; site: string | undefined }) {
  return (
    <>
      <a href={jobPath(job.id, site)}>{jobName(job, 40)}</a>
      {job.metadata.priority === 'hot' ? <small> hot</small> : null}
      {attemptText(job) === '' ? null : <small> {attemptText(job)}</small>}
    </>
  )
}

const doneText = ({ status, progress }: Job) =>
  status === 'running' && progress !== null ? percent(progress, 0) : ''

/* Columns of other tables of jobs. */

export const statusColumn = (head = 'Status'): JobColumn => ({
  head,
  cell: (job) => <Status of={shownStatus(job)} />,
})

export const keyColumn = (head: string, site: string | undefined): JobColumn => ({
  head,
  rowHeader: true,
  class: 'k',
  cell: (job) => <Key job={job} site={site} />,
})

export const startedColumn = (now: Micros): JobColumn => ({
  head: 'Started',
  cell: (job) => (isStartKnown(job) ? when(job.startedAt, now) : ''),
})

export const endedColumn = (now: Micros): JobColumn => ({
  head: 'Ended',
  cell: ({ endedAt }) => when(endedAt, now),
})

/** A list shows the time that orders it: by another its rows would seem to be in disorder. */
function timeColumn(time: TimeField, now: Micros): JobColumn {
  if (time === 'ended') return endedColumn(now)
  if (time !== 'seen') return startedColumn(now)
  return { head: 'Last event', cell: ({ lastEventAt }) => when(lastEventAt, now) }
}

/** From its queue to its start, or until now; only where a job was queued. */
export const queueColumn = (now: Micros): JobColumn => ({
  head: 'Queued for',
  number: true,
  rare: true,
  folded: 'queued',
  cell: (job) => queueText(job, now),
})

export const appColumn: JobColumn = {
  head: 'App',
  class: 'cut',
  cell: ({ appName }) => cut(appName, 40),
}

export const toolColumn: JobColumn = { head: 'Tool', class: 'cut', cell: toolText }

export const elapsedColumn = (head: string, now: Micros): JobColumn => ({
  head,
  number: true,
  cell: (job) => elapsedText(job, now),
})

/** The last column: cut to the room that is left. Of a job that waits, why. */
export const errorColumn = (head: string, max: number): JobColumn => ({
  head,
  class: 'cut e',
  cell: (job) => cut(trouble(job).replaceAll(/\s+/g, ' '), max),
})

function trouble(job: Job): string {
  if (job.lastError !== null) return job.lastError
  const reason = waitReason(job)
  return reason === '' ? '' : `waits: ${reason}`
}
