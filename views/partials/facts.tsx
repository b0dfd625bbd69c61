import type { Job } from '../../src/core/job.ts'
import { type Micros, secondsBetween } from '../../src/core/time.ts'
import {
  age,
  count,
  cut,
  duration,
  measured,
  percent,
  plain,
  when,
  withUnit,
  zoneShort,
} from '../format.ts'
import { jobPath, safeLink } from '../urls.ts'
import { took, tookText } from './job-row.tsx'
import { beside, Strip, usualText } from './strip.tsx'

/** Metadata under agreed names, shown first and by their plain name. */
const agreed = ['tool', 'chamber', 'recipe', 'carrier_id', 'step', 'route', 'priority'] as const
const plainNames: Partial<Record<(typeof agreed)[number], string>> = { carrier_id: 'carrier' }

/** Longest metadata value shown on the page; the export has all of it. */
const longest = 2000

type Props = { job: Job; now: Micros; site: string | undefined }

export function Facts({ job, now, site }: Props) {
  const running = job.status === 'running'
  const silentS = Math.max(0, secondsBetween(job.lastEventAt, now))
  return (
    <dl class="kv">
      <Fact name="App" value={`${job.appName} ${job.appVersion}`.trim()} />
      <Fact name="Key" value={job.jobKey} />
      <Fact name="Sub key" value={job.subKey} />
      {agreed.map((name) => (
        <Fact name={capital(plainNames[name] ?? name)} value={scalar(job.metadata[name])} />
      ))}
      <Fact name="Site" value={job.siteId} />
      <Fact name="Started" value={`${when(job.startedAt, now)} ${zoneShort(job.startedAt)}`} />
      <Fact name="Ended" value={when(job.endedAt, now)} />
      <Took job={job} now={now} />
      <Fact name="Done" value={running ? percent(job.progress, 0) : ''} />
      <Fact
        name="Last event"
        value={running ? `${age(silentS)} ago` : when(job.lastEventAt, now)}
      />
      <Fact name="CPU" value={cpuOf(job)} />
      <Fact name="Peak memory" value={withUnit(job.memMaxMb, 'MiB')} />
      <Fact name="Events" value={eventsOf(job)} />
      {job.parentId === null ? null : (
        <>
          <dt>Part of</dt>
          <dd>
            <a class="id" href={jobPath(job.parentId, site)}>
              {job.parentId}
            </a>
          </dd>
        </>
      )}
      <dt>{job.entityType === 'job' ? 'Job' : 'Subjob'}</dt>
      <dd>
        <span class="id">{job.id}</span>
      </dd>
    </dl>
  )
}

/** How long it took, and whether that is usual. */
function Took({ job, now }: { job: Job; now: Micros }) {
  const seconds = took(job, now)
  if (seconds === null) return null
  const side = beside(seconds, job)
  return (
    <>
      <dt>{job.status === 'running' ? 'Running for' : 'Took'}</dt>
      <dd>
        {tookText(job, now)}
        {job.usual === undefined ? null : (
          <>
            , {side === undefined ? null : <b>{side} </b>}
            {usualText(job.usual)} <small>in nine of ten of {count(job.usual.runs, 'run')}</small>
            <Strip job={job} seconds={seconds} />
          </>
        )}
      </dd>
    </>
  )
}

function Fact({ name, value }: { name: string; value: string | null }) {
  if (value === null || value === '') return null
  return (
    <>
      <dt>{name}</dt>
      <dd>{value}</dd>
    </>
  )
}

const capital = (text: string) => text.charAt(0).toUpperCase() + text.slice(1)
const scalar = (value: unknown) => (isScalar(value) ? cut(plain(value), 200) : '')
const isScalar = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value)

function cpuOf({ cpuUserS, cpuSystemS }: Job): string {
  const user = withUnit(cpuUserS, 's user', 1)
  const system = withUnit(cpuSystemS, 's system', 1)
  return [user, system].filter((part) => part !== '').join(', ')
}

function eventsOf({ eventCount, errorCount }: Job): string {
  const errors = errorCount === 0 ? '' : `, ${count(errorCount, 'error')}`
  return count(eventCount, 'event') + errors
}

/** Metadata that is not among the facts. */
export function otherMetadata(job: Job): [name: string, value: unknown][] {
  const shown = new Set<string>(agreed)
  return Object.entries(job.metadata).filter(
    ([name, value]) => !(shown.has(name) && isScalar(value)) && !longText.has(name),
  )
}

/** What programs leave behind of a failure, shown as it is. */
const longText = new Set(['stderr', 'traceback', 'stack', 'stack_trace'])

export const lastError = 'last error'

export function errorTexts(job: Job): [name: string, text: string][] {
  const texts = Object.entries(job.metadata).flatMap(([name, value]): [string, string][] =>
    longText.has(name) && typeof value === 'string' ? [[name, value]] : [],
  )
  return job.lastError === null ? texts : [[lastError, job.lastError], ...texts]
}

export function Metadata({ entries }: { entries: readonly [string, unknown][] }) {
  return (
    <dl class="kv">
      {entries.map(([name, value]) => (
        <>
          <dt>{cut(name, 60)}</dt>
          <dd>
            <Value value={value} />
          </dd>
        </>
      ))}
    </dl>
  )
}

/** A value as text; a link only when it is one that is safe to open; an object as JSON. */
function Value({ value }: { value: unknown }) {
  const href = safeLink(value)
  if (href !== undefined) {
    return (
      <a href={href} rel="noreferrer noopener">
        {cut(href, 120)}
      </a>
    )
  }
  if (typeof value === 'object' && value !== null) {
    return <code class="id">{cut(JSON.stringify(value), longest)}</code>
  }
  return <>{cut(plain(value), longest)}</>
}

/** Everything measured: what we know the unit of, then what the program sent. */
export function metricsOf(job: Job): [name: string, value: string][] {
  const known: [string, string][] = [
    ['duration', duration(job.durationS)],
    ['CPU, user', withUnit(job.cpuUserS, 's', 1)],
    ['CPU, system', withUnit(job.cpuSystemS, 's', 1)],
    ['peak memory', withUnit(job.memMaxMb, 'MiB')],
  ]
  const own = Object.entries(job.metrics)
    .filter(([name]) => !builtIn.has(name))
    .map(([name, value]): [string, string] => [name, measured(value)])
  return [...known.filter(([, value]) => value !== ''), ...own]
}

const builtIn = new Set(['duration_s', 'cpu_user_s', 'cpu_system_s', 'mem_max_mb', 'progress'])
