import type { JobStatus } from '../../src/core/job.ts'
import { capitalize, duration, number, percent } from '../format.ts'

/** Counts of the jobs that started in a window. */
export type Tally = Record<JobStatus, number> & {
  /** Of the jobs that ended; null when none did. */
  medianS: number | null
  /** False when it is estimated from the medians of parts of the window. */
  medianExact: boolean
}

/** From the least to the most. */
export type Range = { least: number; most: number }

/** The usual counts of a window; not of running jobs, since those of earlier windows have ended. */
export type UsualCounts = Record<'succeeded' | 'failed' | 'canceled', Range>

type Props = {
  tally: Tally
  usual?: UsualCounts | undefined
  span: string
  /** Said instead of `span` where the counts differ from the list. */
  note?: string | undefined
}

/** Cards of a window; swapped as one. */
export function Cards({ tally, usual, span, note }: Props) {
  const ended = tally.succeeded + tally.failed + tally.canceled
  const share = (n: number) => (ended === 0 ? 'none ended yet' : `${percent(n / ended)} of ended`)
  const median = duration(tally.medianS)
  const counted = (['succeeded', 'failed', 'canceled'] as const).map((status) => (
    <Card
      label={capitalize(status)}
      value={number(tally[status])}
      aside={usual === undefined ? '' : share(tally[status])}
      note={share(tally[status])}
      usual={usual?.[status]}
      n={tally[status]}
    />
  ))
  return (
    <ul class="cards">
      <Card label="Running" value={number(tally.running)} note={note ?? span} />
      {counted}
      <Card
        label={tally.medianExact ? 'Median duration' : 'Median duration, approx.'}
        value={median === '' ? '–' : median}
        note={medianNote(tally, ended)}
      />
    </ul>
  )
}

function medianNote({ medianS }: Tally, ended: number): string {
  if (ended === 0) return 'none ended yet'
  // The medians of several sites cannot be combined.
  return medianS === null ? 'not known across sites' : `of ${number(ended)} ended`
}

type CardProps = {
  label: string
  value: string
  note: string
  aside?: string
  usual?: Range | undefined
  n?: number
}

function Card({ label, value, note, aside = '', usual, n = 0 }: CardProps) {
  return (
    <li class="card">
      <p class="lab">
        {label}
        {aside === '' ? null : <span>{aside}</span>}
      </p>
      <p class="val">{value}</p>
      <p class="note">{usual === undefined ? note : <Against usual={usual} n={n} />}</p>
    </li>
  )
}

function Against({ usual: { least, most }, n }: { usual: Range; n: number }) {
  const usual = least === most ? number(least) : `${number(least)} to ${number(most)}`
  if (n >= least && n <= most) return <>usual {usual}</>
  return (
    <b>
      {n > most ? 'above' : 'below'} usual {usual}
    </b>
  )
}
