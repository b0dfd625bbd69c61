import type { JobStatus } from '../../src/core/job.ts'
import { duration, number, percent } from '../format.ts'

/** Counts of the jobs that started in a window. */
export type Tally = Record<JobStatus, number> & {
  /** Of the jobs that ended; null when none did. */
  medianS: number | null
  /** False when the median was put together from the medians of parts of the window. */
  medianExact: boolean
}

/** Cards of a window; swapped as one. `note` says what they count when that is not obvious. */
export function Cards({ tally, span, note }: { tally: Tally; span: string; note?: string }) {
  const ended = tally.succeeded + tally.failed + tally.canceled
  const share = (n: number) => (ended === 0 ? 'none ended yet' : `${percent(n / ended)} of ended`)
  const median = duration(tally.medianS)
  return (
    <ul class="cards">
      <Card label="Running" value={number(tally.running)} note={note ?? span} />
      <Card label="Succeeded" value={number(tally.succeeded)} note={share(tally.succeeded)} />
      <Card label="Failed" value={number(tally.failed)} note={share(tally.failed)} />
      <Card label="Canceled" value={number(tally.canceled)} note={share(tally.canceled)} />
      <Card
        label={tally.medianExact ? 'Median duration' : 'Median duration, about'}
        value={median === '' ? '–' : median}
        note={ended === 0 ? 'none ended yet' : `of ${number(ended)} ended`}
      />
    </ul>
  )
}

function Card({ label, value, note }: { label: string; value: string; note: string }) {
  return (
    <li class="card">
      <p class="lab">{label}</p>
      <p class="val">{value}</p>
      <p class="note">{note}</p>
    </li>
  )
}
