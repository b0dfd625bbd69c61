import { maxAttempts } from '../../src/core/attempts.ts'
import { isOpen, type Job } from '../../src/core/job.ts'
import { type Micros, parseTime, secondsBetween } from '../../src/core/time.ts'
import {
  age,
  capitalize,
  count,
  cut,
  duration,
  number,
  percent,
  when,
  whenZoned,
  withUnit,
} from '../format.ts'
import {
  elapsedS,
  elapsedText,
  isStartKnown,
  queueText,
  waitsAgain,
  waitsAgainText,
} from '../job-text.ts'
import { doneOfText, listEnd, waitReason } from '../known-metadata.ts'
import { jobPath } from '../urls.ts'
import { agreedNames, longest, scalarText } from './metadata.tsx'
import { Strip, sideOfUsual, usualText } from './strip.tsx'

/** Names of metadata as people say them, where that differs. */
const plainNames: Record<string, string> = {
  carrier_id: 'carrier',
  due_at: 'due',
  exit_code: 'exit code',
  error_type: 'error type',
}

type Props = {
  job: Job
  now: Micros
  site: string | undefined
  /** Its attempts that are known; 0 at a site of an earlier version. */
  attempts: number
}

/** The facts of a job, one per line; a line without a value is left out. */
export function Facts({ job, now, site, attempts }: Props) {
  const open = isOpen(job.status)
  const silentS = Math.max(0, secondsBetween(job.lastEventAt, now))
  return (
    <dl class="kv">
      <Fact name="App" value={`${job.appName} ${job.appVersion}`.trim()} />
      <Fact name="Key" value={job.jobKey} />
      <Fact name="Sub key" value={job.subKey} />
      {agreedNames.map((name) => (
        <Fact
          name={capitalize(plainNames[name] ?? name)}
          value={name === 'due_at' ? dueText(job, now) : scalarText(job.metadata[name])}
        />
      ))}
      <Fact name="Site" value={job.siteId} />
      <Fact name="Attempt" value={attemptsText(job, attempts)} />
      <Fact name="Queued" value={whenZoned(job.queuedAt, now)} />
      <Waiting job={job} now={now} />
      <Fact name="Started" value={startText(job, now)} />
      <Fact name="Ended" value={whenZoned(job.endedAt, now)} />
      <Elapsed job={job} now={now} />
      {listEnd(job).map(([name, text]) => (
        <Fact name={capitalize(plainNames[name] ?? name)} value={text} />
      ))}
      <Fact name="Progress" value={progressText(job)} />
      <Fact name="Last event" value={open ? `${age(silentS)} ago` : when(job.lastEventAt, now)} />
      <Fact name="CPU" value={cpuText(job)} />
      <Fact name="Peak memory" value={withUnit(job.memMaxMb, 'MiB')} />
      <Fact name="Events" value={eventsText(job)} />
      <Fact name="Metadata" value={job.truncated ? truncatedText : ''} />
      <Identity job={job} site={site} />
    </dl>
  )
}

/** What is said of metadata that was cut. */
export const truncatedText = 'cut: the program sent more than is kept'

/** `3; 2 failed`. Of how many is said where the others are not kept, or nothing of them was reported. */
function attemptsText({ attempt, failedAttempts }: Job, known: number): string {
  if (attempt === 1) return ''
  if (known === 0) return number(attempt)
  const of = known >= maxAttempts ? `the newest ${maxAttempts}` : `the ${known} that reported`
  return `${number(attempt)}; ${number(failedAttempts)} failed${known < attempt ? ` of ${of}` : ''}`
}

/** In the zone of the other times, if it is a time. */
function dueText({ metadata: { due_at: due } }: Job, now: Micros): string {
  const at = typeof due === 'string' ? parseTime(due) : undefined
  return at === undefined ? scalarText(due) : whenZoned(at, now)
}

/** How long it waited, or has been waiting and why. */
function Waiting({ job, now }: { job: Job; now: Micros }) {
  const again = waitsAgain(job)
  const reason = waitReason(job)
  const text = again ? waitsAgainText(job, now) : queueText(job, now)
  const parts = [text, reason === '' ? '' : `because ${reason}`].filter((part) => part !== '')
  return (
    <>
      {again ? <Fact name="Waited" value={duration(job.queueS)} /> : null}
      <Fact name={job.status === 'queued' ? 'Waiting' : 'Waited'} value={parts.join(', ')} />
    </>
  )
}

/** Of a job that was queued it may not be known. */
function startText(job: Job, now: Micros): string {
  if (isStartKnown(job)) return whenZoned(job.startedAt, now)
  return job.status === 'queued' ? '' : 'not reported'
}

/** `13 of 25, 52 %`; of a job that ended only how far it came. */
function progressText(job: Job): string {
  const share = isOpen(job.status) ? percent(job.progress, 0) : ''
  return [doneOfText(job), share].filter((part) => part !== '').join(', ')
}

/** The id, and of a subjob the job that it belongs to. */
function Identity({ job, site }: Pick<Props, 'job' | 'site'>) {
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
