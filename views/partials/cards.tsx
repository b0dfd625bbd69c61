import type { EndStatus } from '../../src/core/job.ts'
import { capitalize, duration, number, percent } from '../format.ts'
import { defaultQuery, type JobsQuery, jobsUrl } from '../jobs-query.ts'

/** Counts of the jobs that ended in a window, and of those that run now, whenever they began. */
export type Tally = Record<EndStatus, number> & {
  /** Without the lost. */
  running: number
  lost: number
  /** False when more run than were judged. */
  complete: boolean
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
  /** Of those that ended: `ended in 6 h`. */
  span: string
  /** The list of the jobs that a card counts; undefined where no list has exactly these. */
  href: (counted: 'lost' | EndStatus) => string | undefined
}

/** Cards of a window; swapped as one. */
export function Cards({ tally, usual, span, href }: Props) {
  const ended = tally.succeeded + tally.failed + tally.canceled + tally.unknown
  const share = (n: number) => (ended === 0 ? 'none ended' : `${percent(n / ended)} of ended`)
  const median = duration(tally.medianS)
  const counted = (['succeeded', 'failed', 'canceled'] as const).map((status) => (
    <Card
      label={capitalize(status)}
      value={number(tally[status])}
      href={href(status)}
      aside={usual === undefined ? '' : share(tally[status])}
      note={share(tally[status])}
      usual={usual?.[status]}
      n={tally[status]}
    />
  ))
  const now = tally.complete ? 'now' : 'now, at least'
  return (
    <ul class="cards">
      <Card label="Running" value={number(tally.running)} note={`${now}, without the lost`} />
      <Card
        label="Lost"
        value={number(tally.lost)}
        href={href('lost')}
        note={`${now}: silent for too long`}
      />
      {counted}
      {tally.unknown === 0 ? null : (
        <Card
          label="Unknown"
          value={number(tally.unknown)}
          href={href('unknown')}
          note={`${share(tally.unknown)}, how is not known`}
        />
      )}
      <Card
        label={tally.medianExact ? 'Median duration' : 'Median duration, approx.'}
        value={median === '' ? '–' : median}
        note={medianNote(tally, ended, span)}
      />
    </ul>
  )
}

function medianNote({ medianS }: Tally, ended: number, span: string): string {
  if (ended === 0) return `none ${span}`
  // The medians of several sites cannot be combined.
  return medianS === null ? 'not known across sites' : `of ${number(ended)} that ${span}`
}

/** The list of exactly the jobs that a card counts: no filter of the page it stands on applies. */
export function cardUrl(
  counted: Parameters<Props['href']>[0],
  { window, from, to }: Pick<JobsQuery, 'window' | 'from' | 'to'>,
  site: string | undefined,
): string {
  if (counted === 'lost') {
    return jobsUrl({ ...defaultQuery, window: 'all', flags: ['lost'] }, site)
  }
  const ended = { ...defaultQuery, window, from, to, sort: 'ended-desc' } as const
  return jobsUrl({ ...ended, status: [counted] }, site)
}

type CardProps = {
  label: string
  value: string
  href?: string | undefined
  note: string
  aside?: string
  usual?: Range | undefined
  n?: number
}

function Card({ label, value, href, note, aside = '', usual, n = 0 }: CardProps) {
  return (
    <li class="card">
      <p class="lab">
        {label}
        {aside === '' ? null : <span>{aside}</span>}
      </p>
      <p class="val">{href === undefined ? value : <a href={href}>{value}</a>}</p>
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
