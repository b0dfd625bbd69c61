import type { Completeness, Gap } from '../../src/core/job.ts'
import type { Source } from '../../src/core/questions/sources.ts'
import type { Micros } from '../../src/core/time.ts'
import { age, count, cut, number, when } from '../format.ts'
import { ageOfPart, type Notice, type Page } from '../page.ts'
import { type Column, DataTable } from '../partials/data-table.tsx'
import { Notices } from '../partials/notice.tsx'
import { Panel } from '../partials/panel.tsx'
import { SidecarTable } from '../partials/sidecars.tsx'
import { listSinks, SinkTable } from '../partials/sinks.tsx'
import { Step } from '../partials/step.tsx'
import { OrphansPanel, type OrphansView } from '../partials/subjob-lists.tsx'
import { withQuery } from '../urls.ts'

/** Rows of each table of sidecars. */
export const sidecarRows = 50

export type PipelineView = {
  /** Those that need a look, at most `sidecarRows`; undefined when the API is away and never answered. */
  troubled: readonly Source[] | undefined
  /** A page of all of them. */
  sources: readonly Source[] | undefined
  /** Cursors of this page and of the next; undefined on the first and on the last one. */
  after: string | undefined
  next: string | undefined
  completeness: Completeness | undefined
  orphans: OrphansView | undefined
  /** Sites that did not answer; empty at a site. */
  missingSites: readonly string[]
  /** Losses are accepted here: at the site, and not over several of them. */
  accepts: boolean
  /** The health of the API; undefined when it does not answer. */
  health: { status: string; version: string } | undefined
  notices: readonly Notice[]
}

/** Where events are between program and database. */
export function PipelineBody({ page, view }: { page: Page; view: PipelineView }) {
  const { sources, troubled } = view
  return (
    <div id="pipeline" class="body">
      <div class="head">
        <h1>Pipeline</h1>
        <small>where events are between program and database, and which are missing</small>
      </div>
      <Notices notices={view.notices} />
      {sources === undefined || troubled === undefined ? null : (
        <>
          <Path view={view} now={page.now} />
          <Troubled troubled={troubled} view={view} page={page} />
          <Gaps view={view} />
          <Sinks sources={[...troubled, ...sources]} page={page} />
          <Sidecars sources={sources} view={view} page={page} />
        </>
      )}
      {view.orphans === undefined ? null : <OrphansPanel page={page} orphans={view.orphans} />}
    </div>
  )
}

function Path({ view: { completeness, health }, now }: { view: PipelineView; now: Micros }) {
  return (
    <Panel label="Path of the events">
      <ol class="path">
        {completeness === undefined ? null : <SidecarSteps known={completeness} />}
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

/** The sidecars by their own word; of those that do not report it says that it is not known. */
function SidecarSteps({ known }: { known: Completeness }) {
  const { sources, sourcesReporting, sourcesSilent, sourcesGone, waiting, missing } = known
  if (sources === 0) {
    return <Step name="Sidecars" value="none" note="none has delivered or reported yet" />
  }
  const unheard = sources - sourcesReporting - sourcesGone
  return (
    <>
      <Step
        name="Sidecars"
        value={`${number(sourcesReporting)} of ${number(sources)} reporting`}
        note={describeOthers(known)}
        bad={sourcesSilent > 0}
      />
      <Step
        name="In spools"
        value={sourcesReporting === 0 ? 'not known' : count(waiting, 'event')}
        note={spoolsNote(unheard, sourcesReporting)}
        bad={sourcesSilent > 0}
      />
      <Step
        name="Missing"
        value={missing === 0 ? 'none known' : count(missing, 'event')}
        note={missing === 0 ? 'no gap in the numbers received' : 'numbered by a sidecar, not here'}
        bad={missing > 0}
      />
    </>
  )
}

function spoolsNote(unheard: number, reporting: number): string {
  if (unheard === 0) return 'as last reported'
  const others = count(unheard, 'spool')
  return reporting === 0 ? `no word of ${others}` : `and what ${others} may hold`
}

function describeOthers(known: Completeness): string {
  const { sources, sourcesReporting, sourcesSilent, sourcesGone, oldestSourceAgeS } = known
  const unknown = sources - sourcesReporting - sourcesSilent - sourcesGone
  const words: string[] = []
  if (sourcesSilent > 0) words.push(`${number(sourcesSilent)} silent`)
  if (unknown > 0) words.push(`${number(unknown)} not known`)
  if (sourcesGone > 0) words.push(`${number(sourcesGone)} stopped`)
  if (words.length === 0 && oldestSourceAgeS !== null) {
    return `each heard from within ${age(oldestSourceAgeS)}`
  }
  return words.join(', ')
}

function StoreStep({ completeness, now }: { completeness: Completeness; now: Micros }) {
  const { hotFrom, archive } = completeness
  return (
    <Step
      name="Database"
      value={hotFrom === null ? 'all kept' : `since ${when(hotFrom, now)}`}
      note={hotFrom === null ? 'nothing has been dropped yet' : archiveWords[archive]}
    />
  )
}

const archiveWords: Record<Completeness['archive'], string> = {
  used: 'older rows come from the archive',
  available: 'older rows are in the archive',
  off: 'no archive',
  unreachable: 'older rows are in the archive, which cannot be read now',
}

type PanelProps = { view: PipelineView; page: Page }

function Troubled({ troubled, view, page }: PanelProps & { troubled: readonly Source[] }) {
  const more = troubled.length >= sidecarRows
  return (
    <Panel
      title="Sidecars to look at"
      note={more ? `the first ${sidecarRows}` : count(troubled.length, 'sidecar')}
      class="fill w8"
    >
      <SidecarTable
        caption="Sidecars to look at"
        sources={troubled}
        now={page.now}
        site={page.siteQuery}
        accepts={view.accepts}
        empty={describeQuiet(view)}
      />
      {view.accepts || troubled.length === 0 ? null : (
        <p>
          <small>
            Accept a loss at its site: on its Pipeline page, or with{' '}
            <code>wafermon sources accept ID --reason TEXT</code>.
          </small>
        </p>
      )}
    </Panel>
  )
}

/** Why there is nothing to look at, without saying more than is known. */
function describeQuiet({ completeness, missingSites }: PipelineView): string {
  if (completeness === undefined || completeness.sources === 0) {
    return 'No sidecar has delivered an event or reported yet.'
  }
  const { sources, sourcesReporting, sourcesGone } = completeness
  const unheard = sources - sourcesReporting - sourcesGone
  const some = missingSites.length > 0 ? ' of the sites that answered' : ''
  if (unheard > 0)
    return `None known${some}. ${count(unheard, 'spool does not report', 'spools do not report')}.`
  return `None${some}. All that run report, deliver in time, and have the right time.`
}

function Sinks({ sources, page }: { sources: readonly Source[]; page: Page }) {
  const { rows, total } = listSinks(sources)
  return (
    <Panel
      title="Sinks"
      note={
        total > rows.length
          ? `the first ${number(rows.length)} of ${number(total)}`
          : 'where the sidecars below and above deliver to, as they last reported'
      }
      class="all"
    >
      <SinkTable rows={rows} now={page.now} />
    </Panel>
  )
}

function Sidecars({ sources, view, page }: PanelProps & { sources: readonly Source[] }) {
  const { after, next } = view
  const at = (cursor: string | undefined) =>
    withQuery('/pipeline', { site: page.siteQuery, after: cursor })
  return (
    <Panel
      title="All sidecars"
      note="by name, without retired ones"
      class="all"
      oldS={ageOfPart(page, 'sources')}
    >
      <SidecarTable
        caption="All sidecars"
        sources={sources}
        now={page.now}
        site={page.siteQuery}
        accepts={view.accepts}
        empty="No sidecar has delivered an event or reported yet."
      />
      {after === undefined && next === undefined ? null : (
        <nav class="pages" aria-label="Pages of sidecars">
          {after === undefined ? null : (
            <a class="btn" href={at(undefined)}>
              First
            </a>
          )}
          {next === undefined ? null : (
            <a class="btn" rel="next" href={at(next)}>
              Next
            </a>
          )}
        </nav>
      )}
    </Panel>
  )
}

function Gaps({ view: { completeness, missingSites } }: { view: PipelineView }) {
  const gaps = completeness?.gaps ?? []
  const listed = countMissing(gaps)
  const rest = Math.max(0, (completeness?.missing ?? 0) - listed)
  return (
    <Panel title="Gaps" note="events known to be missing" class="fill w4">
      <DataTable
        caption="Gaps"
        columns={gapColumns}
        rows={gaps}
        scroll={false}
        empty={describeNoGaps(completeness, missingSites)}
      />
      {rest > 0 && gaps.length > 0 ? (
        <p>
          <small>and {count(rest, 'event')} in further gaps</small>
        </p>
      ) : null}
    </Panel>
  )
}

/** A gap shows in numbers that were received: of what nobody heard from nothing is known. */
function describeNoGaps(known: Completeness | undefined, missingSites: readonly string[]): string {
  if (known === undefined || known.sources === 0) {
    return 'Not known: no sidecar has delivered an event or reported yet.'
  }
  const unheard = known.sources - known.sourcesReporting - known.sourcesGone
  const limits = [
    ...(unheard > 0
      ? [`of ${count(unheard, 'spool')} it is not known how many events wait there`]
      : []),
    ...(missingSites.length > 0 ? [`${count(missingSites.length, 'site')} did not answer`] : []),
  ]
  const none = 'None known up to the last number received from each spool'
  return limits.length === 0 ? `${none}.` : `${none}; ${limits.join(', and ')}.`
}

const gapColumns: Column<Gap>[] = [
  { head: 'Source', rowHeader: true, class: 'k', cell: ({ source }) => cut(source, 40) },
  { head: 'Seq', number: true, cell: ({ from, to }) => `${number(from)} to ${number(to)}` },
  { head: 'Events', number: true, cell: (gap) => number(countMissing([gap])) },
]

const countMissing = (gaps: readonly Gap[]) =>
  gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0)
