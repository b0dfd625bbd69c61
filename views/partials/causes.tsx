import { pct } from '../axis.ts'
import { count, cut, percent } from '../format.ts'
import { type Column, DataTable } from './data-table.tsx'
import { Panel } from './panel.tsx'

/** A value that failures share, and how common it is among the failures and among all jobs. */
export type Cause = {
  name: string
  value: string
  failures: number
  share: number
  baseShare: number
}

export type Causes = {
  rows: readonly Cause[]
  /** The number of failures, and of jobs of any status, that were compared. */
  failures: number
  jobs: number
}

const title = 'What failures have in common'

export function CausesPanel({ causes }: { causes: Causes }) {
  const { rows, failures, jobs } = causes
  const note =
    failures === 0
      ? undefined
      : `newest ${count(failures, 'failure')} compared with the newest ${count(jobs, 'job')}`
  return (
    <Panel title={title} note={note} class="fill w5">
      <DataTable
        caption={title}
        columns={columns}
        rows={rows}
        scroll={false}
        empty={
          failures === 0
            ? 'No job failed in this window.'
            : 'Nothing stands out: no value is much more frequent among the failures than among all jobs.'
        }
      />
    </Panel>
  )
}

const columns: Column<Cause>[] = [
  { head: 'Value', rowHeader: true, class: 'x', cell: (cause) => <Value cause={cause} /> },
  { head: 'Failures', number: true, cell: ({ share }) => percent(share, 0) },
  { head: 'All jobs', number: true, cell: ({ baseShare }) => percent(baseShare, 0) },
  { head: 'Chart', headHidden: true, cell: (cause) => <Bar cause={cause} /> },
]

function Value({ cause: { name, value } }: { cause: Cause }) {
  return (
    <>
      <small>{name}</small> {cut(value, 80)}
    </>
  )
}

/** The share of the failures as a bar; a line marks the share of all jobs. */
function Bar({ cause: { share, baseShare } }: { cause: Cause }) {
  return (
    <svg class="bar" aria-hidden="true">
      <rect class="f-run" width={pct(share * 100)} height="100%" />
      <line class="now" x1={pct(baseShare * 100)} x2={pct(baseShare * 100)} y2="100%" />
    </svg>
  )
}
