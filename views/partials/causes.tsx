import { type FactName, facts } from '../../src/core/facts.ts'
import type { CauseFact } from '../../src/core/questions/causes.ts'
import { pct } from '../axis.ts'
import { count, cut, number, percent } from '../format.ts'
import { defaultQuery, jobsUrl, type Window } from '../jobs-query.ts'
import { type Column, DataTable } from './data-table.tsx'
import { Panel } from './panel.tsx'

/** A value whose jobs fail more often than the others that ended in the same window. */
export type Cause = {
  fact: CauseFact
  value: string
  /** The app of a version, the tool of a chamber. */
  of: string | null
  failed: number
  ended: number
  /** The least failure rate that the counts allow, at 95 % confidence. */
  low: number
  others: { failed: number; ended: number }
  /** The recent counts, where they stand out as well. */
  now: { failed: number; ended: number } | undefined
}

export type Causes = {
  rows: readonly Cause[]
  /** Of all jobs that ended in the window, of which it is known how. */
  failed: number
  ended: number
  /** Not every value was counted: what stands out may not be among these. */
  cut: boolean
}

type Props = {
  causes: Causes
  window: Window
  site: string | undefined
  oldS: number | undefined
}

export const causesTitle = 'What failures have in common'

export function CausesPanel({ causes, window, site, oldS }: Props) {
  const { rows, failed, ended, cut } = causes
  const note =
    failed === 0
      ? undefined
      : `${number(failed)} failed of ${count(ended, 'job')} that ended in a known way; each value against all others${cut ? '. There were too many values to compare them all' : ''}`
  return (
    <Panel title={causesTitle} note={note} class="fill w5" oldS={oldS}>
      <DataTable
        caption={causesTitle}
        columns={columns(window, site)}
        rows={rows}
        stack
        empty={
          failed === 0
            ? 'No job failed in this window.'
            : cut
              ? 'Nothing stands out among the values that were compared; there were too many to compare them all.'
              : 'Nothing stands out: no value fails more often than the rest by more than chance.'
        }
      />
    </Panel>
  )
}

const columns = (window: Window, site: string | undefined): Column<Cause>[] => [
  {
    head: 'Value',
    rowHeader: true,
    class: 'x',
    cell: (cause) => <Value cause={cause} href={causeUrl(cause, window, site)} />,
  },
  {
    head: 'Failed of ended',
    number: true,
    cell: ({ failed, ended }) => `${number(failed)} of ${number(ended)}`,
  },
  { head: 'Rate', number: true, cell: ({ failed, ended }) => percent(failed / ended) },
  { head: 'At least', number: true, cell: ({ low }) => percent(low, 0) },
  { head: 'Others', number: true, cell: ({ others }) => percent(others.failed / others.ended) },
  { head: 'Chart', headHidden: true, cell: (cause) => <Bar cause={cause} /> },
]

const nameOf = (fact: CauseFact): string =>
  fact in facts ? facts[fact as FactName].label.toLowerCase() : fact

type ValueProps = { cause: Cause; href: string | undefined }

function Value({ cause: { fact, of, value, now }, href }: ValueProps) {
  const text = cut(of === null ? value : `${of} ${value}`, 80)
  return (
    <>
      <small>{nameOf(fact)}</small> {href === undefined ? text : <a href={href}>{text}</a>}
      {now === undefined ? null : (
        <b>
          {' '}
          now {number(now.failed)} of {number(now.ended)}
        </b>
      )}
    </>
  )
}

/** The failed jobs of a value in the same window; undefined where no list has them. */
function causeUrl(cause: Cause, window: Window, site: string | undefined): string | undefined {
  const failed = { ...defaultQuery, window, status: ['failed'], sort: 'ended-desc' } as const
  const { fact, value, of } = cause
  if (fact === 'app') return jobsUrl({ ...failed, app: value }, site)
  if (fact === 'version') return jobsUrl({ ...failed, app: of ?? '', version: value }, site)
  if (fact === 'error') return errorUrl(value)
  if (fact === 'site') return jobsUrl(failed, value)
  const facts = { ...(of === null ? {} : { tool: of }), [fact]: value }
  return jobsUrl({ ...failed, facts }, site)

  /** Numbers differ from one error to the next, so it is a search, for enough text to tell it from others. */
  function errorUrl(text: string): string | undefined {
    const q = longestText(text)
    return q.length < fewestLetters ? undefined : jobsUrl({ ...failed, q }, site)
  }
}

/** A shorter text is in errors of other kinds as well. */
const fewestLetters = 4

/** The longest part of an error text that its occurrences share: `#` stands for what differs. */
const longestText = (text: string): string =>
  text
    .split('#')
    .map((part) => part.trim())
    .reduce((a, b) => (b.length > a.length ? b : a))
    .slice(0, 200)

/** The failure rate as a bar; a line marks the rate of the others. */
function Bar({ cause: { failed, ended, others } }: { cause: Cause }) {
  const othersAt = pct((others.failed / others.ended) * 100)
  return (
    <svg class="bar" aria-hidden="true">
      <rect class="f-run" width={pct((failed / ended) * 100)} height="100%" />
      <line class="now" x1={othersAt} x2={othersAt} y2="100%" />
    </svg>
  )
}
