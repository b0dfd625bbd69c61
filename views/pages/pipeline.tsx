import type { Completeness, Gap } from '../../src/core/job.ts'
import type { Source } from '../../src/core/questions/sources.ts'
import { type Micros, secondsBetween } from '../../src/core/time.ts'
import { age, count, cut, duration, number, signed, when } from '../format.ts'
import type { Notice, Page } from '../page.ts'
import { type Column, DataTable } from '../partials/data-table.tsx'
import { Notices } from '../partials/notice.tsx'
import { Panel } from '../partials/panel.tsx'
import { Step } from '../partials/step.tsx'

/** A sender's clock that is off by more is marked. */
const skewLimitS = 5
/** A sidecar that lags by more is marked. */
const lagLimitS = 60

export type PipelineView = {
  /** Undefined when the API is away and there is no earlier answer. */
  sources: readonly Source[] | undefined
  completeness: Completeness | undefined
  /** The health of the API; undefined when it does not answer. */
  health: { status: string; version: string } | undefined
  notices: readonly Notice[]
}

/** Where events are between program and database. */
export function PipelineBody({ page, view }: { page: Page; view: PipelineView }) {
  const { sources } = view
  return (
    <div id="pipeline" class="body">
      <div class="head">
        <h1>Pipeline</h1>
        <small>where events are between program and database, and which are missing</small>
      </div>
      <Notices notices={view.notices} />
      {sources === undefined ? null : (
        <>
          <Path sources={sources} view={view} now={page.now} />
          <Sidecars sources={sources} now={page.now} />
          <Gaps sources={sources} />
        </>
      )}
    </div>
  )
}

type PathProps = { sources: readonly Source[]; view: PipelineView; now: Micros }

function Path({ sources, view: { completeness, health }, now }: PathProps) {
  return (
    <Panel label="Path of the events">
      <ol class="path">
        <SidecarSteps sources={sources} now={now} />
        <Step
          name="API"
          value={health === undefined ? 'no answer' : health.status}
          note={health === undefined ? '' : `version ${health.version}`}
          bad={health?.status !== 'ok'}
        />
        {completeness === undefined ? null : <StoreStep completeness={completeness} now={now} />}
      </ol>
    </Panel>
  )
}

/** The sidecars, and what is known from the batches that they delivered. */
function SidecarSteps({ sources, now }: { sources: readonly Source[]; now: Micros }) {
  const name = 'Sidecars'
  if (sources.length === 0) return <Step name={name} value="none" note="none has delivered yet" />
  const lost = countMissing(sources.flatMap((source) => source.gaps))
  const lag = Math.max(0, ...sources.map((source) => source.lagS))
  const newestS = Math.min(...sources.map((source) => secondsBetween(source.lastSeenAt, now)))
  return (
    <>
      <Step
        name={name}
        value={count(sources.length, 'spool')}
        note={`last delivery ${age(Math.max(0, newestS))} ago`}
      />
      <Step
        name="In transit"
        value={`up to ${duration(lag)}`}
        note="sidecar's disk to database, last batch"
        bad={lag > lagLimitS}
      />
      <Step
        name="Missing"
        value={lost === 0 ? 'none' : count(lost, 'event')}
        note={lost === 0 ? 'no gap in the numbers received' : 'numbered by a sidecar, not yet here'}
        bad={lost > 0}
      />
    </>
  )
}

function StoreStep({ completeness, now }: { completeness: Completeness; now: Micros }) {
  const { hotFrom, archive } = completeness
  return (
    <Step
      name="Database"
      value={hotFrom === null ? 'complete' : `since ${when(hotFrom, now)}`}
      note={hotFrom === null ? 'nothing has been dropped yet' : archiveWords[archive]}
    />
  )
}

const archiveWords: Record<Completeness['archive'], string> = {
  used: 'older rows come from the archive',
  available: 'older rows are in the archive',
  off: 'no archive',
}

function Sidecars({ sources, now }: { sources: readonly Source[]; now: Micros }) {
  const rank = (source: Source) => (describeFaults(source) === '' ? 1 : 0)
  const sorted = sources.toSorted((a, b) => rank(a) - rank(b) || a.id.localeCompare(b.id))
  return (
    <Panel
      title="Sidecars"
      note={`${count(sources.length, 'spool')}, problems first`}
      class="fill w8"
    >
      <DataTable
        caption="Sidecars"
        stack
        columns={sidecarColumns(now)}
        rows={sorted}
        empty="No sidecar has delivered an event yet."
      />
    </Panel>
  )
}

const sidecarColumns = (now: Micros): Column<Source>[] => [
  {
    head: 'Source',
    rowHeader: true,
    class: 'k',
    title: ({ epoch }) => `spool ${epoch}`,
    cell: ({ id }) => cut(id, 40),
  },
  { head: 'State', cell: (source) => <State source={source} /> },
  { head: 'Last seq', number: true, folded: 'seq', cell: ({ lastSeq }) => number(lastSeq) },
  { head: 'Received', number: true, cell: ({ received }) => number(received) },
  { head: 'Missing', number: true, cell: ({ gaps }) => number(countMissing(gaps)) },
  { head: 'Lag', number: true, cell: ({ lagS }) => duration(Math.max(0, lagS)) },
  {
    head: 'Clock s',
    number: true,
    folded: 'clock',
    cell: ({ clockOffsetS }) => signed(clockOffsetS),
  },
  {
    head: 'Last delivery',
    number: true,
    folded: 'last',
    cell: ({ lastSeenAt }) => `${age(Math.max(0, secondsBetween(lastSeenAt, now)))} ago`,
  },
]

function State({ source }: { source: Source }) {
  const faults = describeFaults(source)
  return faults === '' ? <>ok</> : <b>{faults}</b>
}

/** The faults of a source in words; empty when it has none. */
function describeFaults({ gaps, reused, lagS, clockOffsetS }: Source): string {
  const words: string[] = []
  if (gaps.length > 0) words.push(`${number(countMissing(gaps))} missing`)
  if (reused > 0) words.push(`${number(reused)} numbers used twice`)
  if (lagS > lagLimitS) words.push('behind')
  if (clockOffsetS > skewLimitS) words.push('clock ahead')
  if (clockOffsetS < -skewLimitS) words.push('clock behind')
  return words.join(', ')
}

/** Gaps listed; the rest is counted. */
const gapRows = 50

function Gaps({ sources }: { sources: readonly Source[] }) {
  const gaps = sources.flatMap((source) => source.gaps)
  return (
    <Panel title="Gaps" note="events known to be missing" class="fill w4">
      <DataTable
        caption="Gaps"
        columns={gapColumns}
        rows={gaps.slice(0, gapRows)}
        scroll={false}
        empty={
          sources.length === 0
            ? 'Not known: no sidecar has delivered an event yet.'
            : 'None. Every event up to the last number received from each spool has arrived.'
        }
      />
      {gaps.length > gapRows ? (
        <p>
          <small>and {number(gaps.length - gapRows)} more gaps</small>
        </p>
      ) : null}
    </Panel>
  )
}

const gapColumns: Column<Gap>[] = [
  { head: 'Source', rowHeader: true, class: 'k', cell: ({ source }) => cut(source, 40) },
  { head: 'Seq', number: true, cell: ({ from, to }) => `${number(from)} to ${number(to)}` },
  { head: 'Events', number: true, cell: (gap) => number(countMissing([gap])) },
]

const countMissing = (gaps: readonly Gap[]) =>
  gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0)
