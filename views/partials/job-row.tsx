import type { Job } from '../../src/core/job.ts'
import { type Micros, secondsBetween } from '../../src/core/time.ts'
import { cut, duration, number, percent, plain, running, when } from '../format.ts'
import { jobPath } from '../urls.ts'
import { Status, shownStatus } from './status.tsx'
import { Strip } from './strip.tsx'

type Props = { job: Job; now: Micros; site: string | undefined; oob?: boolean }

/** One row of the jobs table. `oob` marks it as a replacement for the row that is on the page. */
export function JobRow({ job, now, site, oob = false }: Props) {
  return (
    <tr id={`job-${job.id}`} {...(oob ? { 'hx-swap-oob': 'outerMorph' } : {})}>
      <td class="s">
        <Status of={shownStatus(job)} />
      </td>
      <th scope="row" class="k">
        <a href={jobPath(job.id, site)}>{keyOf(job)}</a>
        {job.metadata.priority === 'hot' ? <small> hot</small> : null}
      </th>
      <td>{when(job.startedAt, now)}</td>
      <td class="cut">{cut(job.appName, 60)}</td>
      <td class="cut">{place(job)}</td>
      <td class="cut">{fact(job, 'recipe')}</td>
      <td class="n" data-l="took">
        {tookText(job, now)}
      </td>
      <td>
        <Strip job={job} seconds={took(job, now)} />
      </td>
      <td class="n" data-l="done">
        {job.status === 'running' && job.progress !== null ? percent(job.progress, 0) : ''}
      </td>
      <td class="n" data-l="CPU s">
        {number(cpu(job), 1)}
      </td>
      <td class="n" data-l="MiB">
        {number(job.memMaxMb)}
      </td>
      <td class="cut e" title={job.lastError ?? undefined}>
        {job.lastError === null ? '' : cut(job.lastError.replaceAll(/\s+/g, ' '), 120)}
      </td>
    </tr>
  )
}

/** What a job is called: its business key, else its sub key, else the start of its id. */
export const keyOf = (job: Pick<Job, 'id' | 'jobKey' | 'subKey' | 'entityType'>): string =>
  (job.entityType === 'subjob' ? (job.subKey ?? job.jobKey) : job.jobKey) || job.id.slice(0, 13)

/** Seconds from start to end; of a running job, to now. */
export const took = (job: Job, now: Micros): number | null =>
  job.status === 'running' ? Math.max(0, secondsBetween(job.startedAt, now)) : job.durationS

/** How long it took; of a running job, how long it runs, to the second. */
export const tookText = (job: Job, now: Micros): string =>
  job.status === 'running' ? running(took(job, now)) : duration(job.durationS)

export const cpu = (job: Job): number | null =>
  job.cpuUserS === null && job.cpuSystemS === null
    ? null
    : (job.cpuUserS ?? 0) + (job.cpuSystemS ?? 0)

/** A word that the program put into metadata under an agreed name; empty when it did not. */
export function fact(job: Job, name: string): string {
  const value = job.metadata[name]
  return typeof value === 'string' || typeof value === 'number' ? cut(plain(value), 40) : ''
}

/** Tool and chamber. */
export const place = (job: Job): string =>
  [fact(job, 'tool'), fact(job, 'chamber')].filter((part) => part !== '').join(' ')
