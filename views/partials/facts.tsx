import type { Job } from '../../src/core/job.ts'
import { type Micros, secondsBetween } from '../../src/core/time.ts'
import { age, capitalize, count, cut, percent, when, whenZoned, withUnit } from '../format.ts'
import { elapsedS, elapsedText } from '../job-text.ts'
import { jobPath } from '../urls.ts'
import { agreedNames, longest, scalarText } from './metadata.tsx'
import { Strip, sideOfUsual, usualText } from './strip.tsx'

/** Names of metadata as people say them, where that differs. */
const plainNames: Partial<Record<(typeof agreedNames)[number], string>> = { carrier_id: 'carrier' }

type Props = { job: Job; now: Micros; site: string | undefined }

/** The facts of a job, one per line; a line without a value is left out. */
export function Facts({ job, now, site }: Props) {
  const running = job.status === 'running'
  const silentS = Math.max(0, secondsBetween(job.lastEventAt, now))
  return (
    <dl class="kv">
      <Fact name="App" value={`${job.appName} ${job.appVersion}`.trim()} />
      <Fact name="Key" value={job.jobKey} />
      <Fact name="Sub key" value={job.subKey} />
      {agreedNames.map((name) => (
        <Fact name={capitalize(plainNames[name] ?? name)} value={scalarText(job.metadata[name])} />
      ))}
      <Fact name="Site" value={job.siteId} />
      <Fact name="Started" value={whenZoned(job.startedAt, now)} />
      <Fact name="Ended" value={whenZoned(job.endedAt, now)} />
      <Elapsed job={job} now={now} />
      <Fact name="Progress" value={running ? percent(job.progress, 0) : ''} />
      <Fact
        name="Last event"
        value={running ? `${age(silentS)} ago` : when(job.lastEventAt, now)}
      />
      <Fact name="CPU" value={cpuText(job)} />
      <Fact name="Peak memory" value={withUnit(job.memMaxMb, 'MiB')} />
      <Fact name="Events" value={eventsText(job)} />
      <Identity job={job} site={site} />
    </dl>
  )
}

/** The id, and of a subjob the job that it belongs to. */
function Identity({ job, site }: Omit<Props, 'now'>) {
  return (
    <>
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
    </>
  )
}

/** How long it took or has been running, and how that compares with similar runs. */
function Elapsed({ job, now }: { job: Job; now: Micros }) {
  const seconds = elapsedS(job, now)
  if (seconds === null) return null
  const side = sideOfUsual(seconds, job)
  return (
    <>
      <dt>{job.status === 'running' ? 'Running for' : 'Took'}</dt>
      <dd>
        {elapsedText(job, now)}
        {job.usual === undefined ? null : (
          <>
            , {side === undefined ? null : <b>{side} </b>}
            {usualText(job.usual)} <small>for nine in ten of {count(job.usual.runs, 'run')}</small>
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
      <dd>{cut(value, longest)}</dd>
    </>
  )
}

function cpuText({ cpuUserS, cpuSystemS }: Job): string {
  const user = withUnit(cpuUserS, 's user', 1)
  const system = withUnit(cpuSystemS, 's system', 1)
  return [user, system].filter((part) => part !== '').join(', ')
}

function eventsText({ eventCount, errorCount }: Job): string {
  const errors = errorCount === 0 ? '' : `, ${count(errorCount, 'error')}`
  return count(eventCount, 'event') + errors
}
