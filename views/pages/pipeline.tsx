import type { Completeness, Gap, Source } from '../../src/core/job.ts'
import { type Micros, secondsBetween } from '../../src/core/time.ts'
import { age, count, cut, duration, number, signed, when } from '../format.ts'
import { Layout } from '../layout.tsx'
import type { Notice, Page } from '../page.ts'
import { Notices } from '../partials/notice.tsx'
import { Scroll } from '../partials/scroll.tsx'
import { withQuery } from '../urls.ts'

/** A sender's clock that is off by more is told; see fab.md, clock skew. */
export const skewLimitS = 5
/** A sidecar that is behind by more is told. */
export const lagLimitS = 60

export type PipelineView = {
  sources: readonly Source[] | undefined
  completeness: Completeness | undefined
  /** What the API says of itself; undefined when it does not answer. */
  health: { status: string; version: string } | undefined
  notices: readonly Notice[]
  live: string
}

export function PipelinePage({ page, view }: { page: Page; view: PipelineView }) {
  return (
    <Layout page={page} title="Pipeline" section="Pipeline" live={view.live}>
      <div
        id="pipeline"
        class="body"
        hx-get={withQuery('/pipeline', { site: page.siteQuery })}
        hx-trigger="every 10s"
        hx-select="#pipeline"
        hx-swap="outerMorph"
      >
        <div class="head">
          <h1>Pipeline</h1>
          <small>where between program and store events stand, and whether any is missing</small>
        </div>
        <Notices notices={view.notices} />
        {view.sources === undefined ? null : (
          <Sources page={page} sources={view.sources} view={view} />
        )}
      </div>
    </Layout>
  )
}

function Sources({
  page,
  sources,
  view,
}: {
  page: Page
  sources: readonly Source[]
  view: PipelineView
}) {
  return (
    <>
      <Path sources={sources} view={view} now={page.now} />
      <section class="panel fill w8" aria-label="Sidecars">
        <header>
          <h2>Sidecars</h2>
          <small>{count(sources.length, 'spool')}, those that need somebody first</small>
        </header>
        {sources.length === 0 ? (
          <p class="empty">No sidecar has delivered an event yet.</p>
        ) : (
          <SourceTable sources={sources} now={page.now} />
        )}
      </section>
      <Gaps gaps={sources.flatMap((source) => source.gaps)} />
    </>
  )
}

const missing = (gaps: readonly Gap[]) => gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0)

type PathProps = { sources: readonly Source[]; view: PipelineView; now: Micros }

function Path({ sources, view: { completeness, health }, now }: PathProps) {
  const lost = missing(sources.flatMap((source) => source.gaps))
  const lag = Math.max(0, ...sources.map((source) => source.lagS))
  const quiet = sources.map((source) => secondsBetween(source.lastSeenAt, now))
  const newest = quiet.length === 0 ? undefined : Math.max(0, Math.min(...quiet))
  return (
    <section class="panel" aria-label="Path of the events">
      <ol class="path">
        <Step
          name="Sidecars"
          value={count(sources.length, 'spool')}
          note={newest === undefined ? 'none heard yet' : `newest heard ${age(newest)} ago`}
        />
        <Step
          name="On the way"
          value={`up to ${duration(lag)}`}
          note="from the sidecar's disk to the store, last batch"
          bad={lag > lagLimitS}
        />
        <Step
          name="Missing"
          value={lost === 0 ? 'none' : count(lost, 'event')}
          note={lost === 0 ? 'no gap in any numbering' : 'numbered by a sidecar, not yet here'}
          bad={lost > 0}
        />
        <Step
          name="Local API"
          value={health === undefined ? 'no answer' : health.status}
          note={health === undefined ? '' : `version ${health.version}`}
          bad={health?.status !== 'ok'}
        />
        {completeness === undefined ? null : (
          <Step
            name="Store"
            value={
              completeness.hotFrom === null
                ? 'all there is'
                : `from ${when(completeness.hotFrom, now)}`
            }
            note={
              completeness.hotFrom === null
                ? 'nothing has left the hot store yet'
                : archiveWords[completeness.archive]
            }
          />
        )}
      </ol>
    </section>
  )
}

const archiveWords: Record<Completeness['archive'], string> = {
  used: 'older rows come from the archive',
  available: 'older rows are in the archive',
  off: 'no archive',
}

type StepProps = { name: string; value: string; note: string; bad?: boolean }

function Step({ name, value, note, bad = false }: StepProps) {
  return (
    <li class={bad ? 'bad' : undefined}>
      <small>{name}</small>
      <b>{value}</b>
      <small>{note}</small>
    </li>
  )
}

/** What is wrong with a source, in words; empty when nothing is. */
function stateOf(source: Source): string {
  const words: string[] = []
  if (source.gaps.length > 0) words.push(`${number(missing(source.gaps))} missing`)
  if (source.lagS > lagLimitS) words.push('behind')
  if (source.clockOffsetS > skewLimitS) words.push('clock ahead')
  if (source.clockOffsetS < -skewLimitS) words.push('clock behind')
  return words.join(', ')
}

function SourceTable({ sources, now }: { sources: readonly Source[]; now: Micros }) {
  const rank = (source: Source) => (stateOf(source) === '' ? 1 : 0)
  const sorted = sources.toSorted((a, b) => rank(a) - rank(b) || a.id.localeCompare(b.id))
  return (
    <Scroll label="Sidecars, table">
      <table class="t stack">
        <caption class="vh">Sidecars</caption>
        <thead>
          <tr>
            <th scope="col">Source</th>
            <th scope="col">State</th>
            {['Last seq', 'Received', 'Missing', 'Lag', 'Clock s', 'Last heard'].map((head) => (
              <th scope="col" class="n">
                {head}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {sorted.map((source) => (
            <SourceRow source={source} now={now} />
          ))}
        </tbody>
      </table>
    </Scroll>
  )
}

function SourceRow({ source, now }: { source: Source; now: Micros }) {
  const state = stateOf(source)
  return (
    <tr>
      <th scope="row" class="k" title={`spool ${source.epoch}`}>
        {cut(source.id, 40)}
      </th>
      <td>{state === '' ? 'current' : <b>{state}</b>}</td>
      <td class="n" data-l="seq">
        {number(source.lastSeq)}
      </td>
      <td class="n" data-l="received">
        {number(source.received)}
      </td>
      <td class="n" data-l="missing">
        {number(missing(source.gaps))}
      </td>
      <td class="n" data-l="lag">
        {duration(Math.max(0, source.lagS))}
      </td>
      <td class="n" data-l="clock">
        {signed(source.clockOffsetS)}
      </td>
      <td class="n" data-l="heard">
        {`${age(Math.max(0, secondsBetween(source.lastSeenAt, now)))} ago`}
      </td>
    </tr>
  )
}

/** Gaps listed; the rest is counted. */
const gapRows = 50

function Gaps({ gaps }: { gaps: readonly Gap[] }) {
  return (
    <section class="panel fill w4" aria-label="Gaps">
      <header>
        <h2>Gaps</h2>
        <small>events known to be missing</small>
      </header>
      {gaps.length === 0 ? (
        <p class="empty">None. Every number of every spool has arrived.</p>
      ) : (
        <>
          <table class="t">
            <caption class="vh">Gaps</caption>
            <thead>
              <tr>
                <th scope="col">Source</th>
                <th scope="col" class="n">
                  Seq
                </th>
                <th scope="col" class="n">
                  Events
                </th>
              </tr>
            </thead>
            <tbody>
              {gaps.slice(0, gapRows).map((gap) => (
                <tr>
                  <th scope="row" class="k">
                    {cut(gap.source, 40)}
                  </th>
                  <td class="n">
                    {number(gap.from)} to {number(gap.to)}
                  </td>
                  <td class="n">{number(gap.to - gap.from + 1)}</td>
                </tr>
              ))}
            </tbody>
          </table>
          {gaps.length > gapRows ? (
            <p>
              <small>and {number(gaps.length - gapRows)} more gaps</small>
            </p>
          ) : null}
        </>
      )}
    </section>
  )
}
