import type { Child } from 'hono/jsx'
import type { EndStatus } from '../../src/core/job.ts'
import { age, capitalize, duration, number, percent } from '../format.ts'
import { defaultQuery, type JobsQuery, jobsUrl } from '../jobs-query.ts'

/** Counts of the jobs that ended in a window, and of those that run now, whenever they began. */
export type Tally = Record<EndStatus, number> & {
  /** Those that wait for their start; undefined when that is not known. */
  queued: number | undefined
  /** Some of those that ended had been queued. */
  waited: boolean
  /** Without the lost. */
  running: number
  lost: number
  /** False when more run than were judged. */
  complete: boolean
  /** Of the jobs that ended; null when none did. */
  medianS: number | null
  /** False when it is estimated from the medians of parts of the window. */
  medianExact: boolean
  /** The sites that are missing from the counts of what ended. */
  missing: readonly string[]
}

/** From the least to the most. */
export type Range = { least: number; most: number }

/** The usual counts of a window; not of running jobs, since those of earlier windows have ended. */
export type UsualCounts = Record<'succeeded' | 'failed' | 'canceled', Range> & {
  /** The sites that are missing from them. */
  missing: readonly string[]
}

/** What a card counts. */
export type Counted = 'queued' | 'running' | 'lost' | EndStatus

type Props = {
  tally: Tally
  usual?: UsualCounts | undefined
  /** Of those that ended: `ended in 6 h`. */
  span: string
  /** The list of the jobs that a card counts; undefined where no list has exactly these. */
  href: (counted: Counted) => string | undefined
}

/** The questions that the cards show answers to. */
export const cardQuestions = ['tally', 'running', 'queued']

/** Around the cards; empty while they are not known. */
export function CardsSection({ oldS, children }: { oldS: number | undefined; children?: Child }) {
  return (
    <section id="cards" aria-label="Counts" class={oldS === undefined ? undefined : 'stale'}>
      {oldS === undefined ? null : <p class="old">Not current: {age(oldS)} old</p>}
      {children}
    </section>
  )
}

/** Cards of a window; swapped as one. */
export function Cards({ tally, usual: known, span, href }: Props) {
  // What some sites did says nothing about what all of them, or others, usually do.
  const usual = known && isSame(known.missing, tally.missing) ? known : undefined
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
      {tally.queued === 0 && !tally.waited ? null : (
        <Card
          label="Waiting"
          value={tally.queued === undefined ? '–' : number(tally.queued)}
          href={href('queued')}
          note={tally.queued === undefined ? 'no answer' : 'now: queued, not running'}
        />
      )}
      <Card
        label="Running"
        value={number(tally.running)}
        href={href('running')}
        note={tally.lost === 0 ? now : `${now}; the list has the ${number(tally.lost)} lost too`}
      />
      <Card
        label="Lost"
        value={number(tally.lost)}
        href={href('lost')}
        note={`${now}: silent for too long`}
      />
      {counted}
      {tally.unknown === 0 ? null : (
        <Card
          label="Ended, outcome unknown"
          value={number(tally.unknown)}
          href={href('unknown')}
          note={share(tally.unknown)}
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

const isSame = (some: readonly string[], others: readonly string[]) =>
  JSON.stringify(some.toSorted()) === JSON.stringify(others.toSorted())

function medianNote({ medianS }: Tally, ended: number, span: string): string {
  if (ended === 0) return `none ${span}`
  // The medians of several sites cannot be combined.
  return medianS === null ? 'not known across sites' : `of ${number(ended)} that ${span}`
}

/**
 * The list of exactly the jobs that a card counts: no filter of the page it stands on applies. That of the
 * running has the lost too, which the card says.
 */
export function cardUrl(
  counted: Counted,
  { window, from, to }: Pick<JobsQuery, 'window' | 'from' | 'to'>,
  site: string | undefined,
): string {
  if (counted === 'lost') {
    return jobsUrl({ ...defaultQuery, window: 'all', flags: ['lost'] }, site)
  }
  if (counted === 'queued' || counted === 'running') {
    return jobsUrl({ ...defaultQuery, window: 'all', status: [counted] }, site)
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
