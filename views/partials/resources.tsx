import type { Job } from '../../src/core/job.ts'
import { secondsBetween } from '../../src/core/time.ts'
import { measured, number } from '../format.ts'
import { cpuSeconds } from '../job-text.ts'
import { readWanted, type Wanted } from '../known-metadata.ts'
import { type Column, DataTable } from './data-table.tsx'
import { Panel } from './panel.tsx'

type Row = { name: string; wanted: string; used: string }

/** What a job asked for beside what it used; nothing when it named no resources. */
export function ResourcesPanel({ job }: { job: Job }) {
  const wanted = readWanted(job)
  if (wanted === undefined) return null
  return (
    <Panel title="Resources" note="wanted and used">
      <DataTable
        caption="Resources"
        class="narrow"
        columns={columns}
        rows={listRows(job, wanted)}
        scroll={false}
      />
    </Panel>
  )
}

const columns: Column<Row>[] = [
  { head: 'Resource', rowHeader: true, class: 'k', cell: ({ name }) => name },
  { head: 'Wanted', number: true, cell: ({ wanted }) => wanted },
  { head: 'Used', number: true, cell: ({ used }) => used },
]

function listRows(job: Job, { cpus, memory_mb, gpus }: Wanted): Row[] {
  const rows: (Row | undefined)[] = [
    cpus === undefined ? undefined : { name: 'CPUs', wanted: measured(cpus), used: cpusUsed(job) },
    memory_mb === undefined
      ? undefined
      : {
          name: 'Memory',
          wanted: `${measured(memory_mb)}\u00a0MiB`,
          used: job.memMaxMb === null ? notReported : `${number(job.memMaxMb)}\u00a0MiB at most`,
        },
    gpus === undefined ? undefined : { name: 'GPUs', wanted: measured(gpus), used: notReported },
  ]
  return rows.filter((row) => row !== undefined)
}

const notReported = 'not reported'

/** CPU time by elapsed time, up to the last event of a job that runs. */
function cpusUsed(job: Job): string {
  const cpu = cpuSeconds(job)
  const elapsed = job.durationS ?? secondsBetween(job.startedAt, job.lastEventAt)
  if (cpu === null || elapsed <= 0) return notReported
  return `${number(cpu / elapsed, 2)} on average`
}
