import { ExactNumber } from '../../src/core/exact-number.ts'
import type { Job } from '../../src/core/job.ts'
import { cut, duration, measured, plain, withUnit } from '../format.ts'
import { isShownApart, type JobLink } from '../known-metadata.ts'
import { safeLink } from '../urls.ts'

/** Metadata under agreed names, which the facts show first. */
export const agreedNames = [
  'tool',
  'chamber',
  'recipe',
  'host',
  'queue',
  'priority',
  'lot',
  'carrier_id',
  'step',
  'route',
  'due_at',
] as const

/** Metadata in which programs leave the details of a failure, shown as it is. */
const longTexts = new Set(['stderr', 'traceback', 'stack', 'stack_trace'])

/** The longest value on the page, and the longest name of one; the export has all of them. */
export const longest = 2000
export const longestName = 256

/** A text, number or boolean as text; empty for everything else. */
export const scalarText = (value: unknown) => (isScalar(value) ? cut(plain(value), longest) : '')

const isScalar = (value: unknown) =>
  ['string', 'number', 'boolean'].includes(typeof value) || value instanceof ExactNumber

/** Metadata that is neither among the facts nor among the error texts. */
export function otherMetadata(job: Job): [name: string, value: unknown][] {
  const shown = new Set<string>(agreedNames)
  return Object.entries(job.metadata).filter(
    ([name, value]) =>
      !(shown.has(name) && isScalar(value)) && !longTexts.has(name) && !isShownApart(job, name),
  )
}

export const lastError = 'last error'

/** The last error, then what the program left in metadata. */
export function errorTexts(job: Job): [name: string, text: string][] {
  const texts = Object.entries(job.metadata).flatMap(([name, value]): [string, string][] =>
    longTexts.has(name) && typeof value === 'string' ? [[name, value]] : [],
  )
  return job.lastError === null ? texts : [[lastError, job.lastError], ...texts]
}

export function Metadata({ entries }: { entries: readonly [string, unknown][] }) {
  return (
    <dl class="kv">
      {entries.map(([name, value]) => (
        <>
          <dt>{cut(name, longestName)}</dt>
          <dd>
            <Value value={value} />
          </dd>
        </>
      ))}
    </dl>
  )
}

/** The links of a job. What they say is cut, and where they lead is shown. */
export function Links({ links }: { links: readonly JobLink[] }) {
  return (
    <ul class="links">
      {links.map(({ title, href }) => (
        <li>
          <a href={href} rel="noopener noreferrer">
            {cut(title, 120)}
          </a>{' '}
          {title === href ? null : <small>{cut(href, 120)}</small>}
        </li>
      ))}
    </ul>
  )
}

/** A value as text; a link only when it is safe to open; an object as JSON. */
function Value({ value }: { value: unknown }) {
  const href = safeLink(value)
  if (href !== undefined) {
    return (
      <a href={href} rel="noreferrer noopener">
        {cut(href, 120)}
      </a>
    )
  }
  if (typeof value === 'object' && value !== null && !isScalar(value)) {
    return <code class="id">{cut(JSON.stringify(value), longest)}</code>
  }
  return <>{cut(plain(value), longest)}</>
}

/** Everything measured: first what has a known unit, then what the program sent. */
export function listMetrics(job: Job): [name: string, value: string][] {
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
