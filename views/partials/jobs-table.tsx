import type { Job } from '../../src/core/job.ts'
import type { Micros } from '../../src/core/time.ts'
import { cut, number, percent, when } from '../format.ts'
import { cpuSeconds, elapsedS, elapsedText, jobName, metadataText, toolText } from '../job-text.ts'
import { jobPath } from '../urls.ts'
import { type Column, DataRow, DataTable } from './data-table.tsx'
import { Status, shownStatus } from './status.tsx'
import { Strip } from './strip.tsx'

type RowContext = { now: Micros; site: string | undefined }
type JobColumn = Column<Job>

type TableProps = RowContext & {
  jobs: readonly Job[]
  caption: string
  sorted: JobColumn['sorted']
}

/** The jobs of a list, one row each, with the heading in sight. */
export function JobsTable({ jobs, now, site, caption, sorted }: TableProps) {
  return (
    <DataTable
      caption={caption}
      class="stick jobs"
      stack
      columns={listColumns({ now, site }, sorted)}
      rows={jobs}
      rowId={rowId}
    />
  )
}

/** One row of the list, alone. */
export function JobRow({ job, now, site }: RowContext & { job: Job }) {
  return <DataRow columns={listColumns({ now, site })} row={job} id={rowId(job)} stack />
}

const rowId = ({ id }: Job) => `job-${id}`

function listColumns({ now, site }: RowContext, sorted?: JobColumn['sorted']): JobColumn[] {
  return [
    { ...statusColumn(), class: 's' },
    { head: 'Key', rowHeader: true, class: 'k', cell: (job) => <Key job={job} site={site} /> },
    { ...startedColumn(now), sorted },
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
    { ...errorColumn('Last error', 120), title: ({ lastError }) => lastError ?? undefined },
  ]
}

function Key({ job, site }: { job: Job; site: string | undefined }) {
  return (
    <>
      <a href={jobPath(job.id, site)}>{jobName(job, 40)}</a>
      {job.metadata.priority === 'hot' ? <small> hot</small> : null}
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
  cell: (job) => <a href={jobPath(job.id, site)}>{jobName(job, 40)}</a>,
})

export const startedColumn = (now: Micros): JobColumn => ({
  head: 'Started',
  cell: ({ startedAt }) => when(startedAt, now),
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

/** The last column: cut to the room that is left. */
export const errorColumn = (head: string, max: number): JobColumn => ({
  head,
  class: 'cut e',
  cell: ({ lastError }) => cut((lastError ?? '').replaceAll(/\s+/g, ' '), max),
})
