import { factNames, facts } from '../../src/core/facts.ts'
import { statuses } from '../../src/core/job.ts'
import type { Micros } from '../../src/core/time.ts'
import { cut, whenZoned } from '../format.ts'
import {
  firstPage,
  flags,
  type JobsQuery,
  jobsUrl,
  sorts,
  type Window,
  windowNames,
  windows,
} from '../jobs-query.ts'

type Props = { query: JobsQuery; apps: readonly string[]; site: string | undefined; now: Micros }

/** The filters of the jobs page: a GET form, so they work without JavaScript and can be bookmarked. */
export function Filters({ query, apps, site, now }: Props) {
  return (
    <details class="filters panel">
      <summary>{summary(query, now)}</summary>
      <form method="get" action="/jobs" aria-label="Filters">
        <Kept query={query} site={site} />
        <div class="wide">
          <Windows query={query} href={(w) => jobsUrl(inWindow(query, w), site)} />
          <fieldset class="seg">
            <legend class="vh">Status</legend>
            {statuses.map((status) => (
              <label>
                <input
                  type="checkbox"
                  name="status"
                  value={status}
                  checked={query.status.length === 0 || query.status.includes(status)}
                />
                {status}
              </label>
            ))}
          </fieldset>
          <fieldset class="seg">
            <legend class="vh">Only running jobs that are</legend>
            <span>only</span>
            {flags.map((flag) => (
              <label>
                <input
                  type="checkbox"
                  name="flag"
                  value={flag}
                  checked={query.flags.includes(flag)}
                />
                {flag}
              </label>
            ))}
          </fieldset>
        </div>
        <label>
          <span>Key, id, tool, error, …</span>
          <input id="search" type="search" name="q" value={query.q} placeholder="L26N44…" />
        </label>
        <Choice name="app" label="App" value={query.app} options={appOptions(apps, query.app)} />
        <Field name="version" label="Version" value={query.version} />
        {factNames.map((name) => (
          <Field name={name} label={facts[name].label} value={query.facts[name] ?? ''} />
        ))}
        <Field name="min_attempts" label="Attempts, at least" value={query.minAttempts} />
        <Field name="from" label="From" value={query.from ?? ''} placeholder="2026-03-01T06:00" />
        <Field name="to" label="to" value={query.to ?? ''} placeholder="2026-03-01T14:00" />
        <Seconds name="min" label="Duration from, s" value={query.min} />
        <Seconds name="max" label="to, s" value={query.max} />
        <Choice name="sort" label="Sort" value={query.sort} options={Object.entries(sorts)} />
        <button class="btn go" type="submit">
          Apply
        </button>
      </form>
    </details>
  )
}

/** Keeps the site and the window when the form is sent. */
function Kept({ query, site }: { query: JobsQuery; site: string | undefined }) {
  const kept = { site, w: query.window }
  return (
    <>
      {Object.entries(kept).map(([name, value]) =>
        value === undefined ? null : <input type="hidden" name={name} value={value} />,
      )}
    </>
  )
}

const inWindow = (query: JobsQuery, window: Window): JobsQuery => ({
  ...firstPage(query),
  window,
  from: undefined,
  to: undefined,
})

type WindowsProps = {
  query: Pick<JobsQuery, 'window' | 'from' | 'to'>
  href: (window: Window) => string
}

/** The windows as links; without `all` where a page cannot show it. */
export function Windows({ query, href, all = true }: WindowsProps & { all?: boolean }) {
  const names = (Object.keys(windows) as Window[]).filter((name) => all || name !== 'all')
  return (
    <nav class="seg" aria-label="Window">
      {names.map((name) => (
        <a
          href={href(name)}
          {...(isWindow(query) && name === query.window ? { 'aria-current': 'true' } : {})}
        >
          {windowNames[name]}
        </a>
      ))}
    </nav>
  )
}

type ChoiceProps = {
  name: string
  label: string
  value: string
  options: readonly (readonly [value: string, text: string])[]
}

function Choice({ name, label, value, options }: ChoiceProps) {
  return (
    <label>
      <span>{label}</span>
      <select name={name}>
        {options.map(([option, text]) => (
          <option value={option} selected={option === value}>
            {text}
          </option>
        ))}
      </select>
    </label>
  )
}

type FieldProps = { name: string; label: string; value: string; placeholder?: string }

function Field({ name, label, value, placeholder = 'any' }: FieldProps) {
  return (
    <label>
      <span>{label}</span>
      <input name={name} value={value} placeholder={placeholder} />
    </label>
  )
}

function Seconds({ name, label, value }: { name: string; label: string; value: string }) {
  return (
    <label>
      <span>{label}</span>
      <input name={name} value={value} inputmode="decimal" placeholder="any" />
    </label>
  )
}

function appOptions(apps: readonly string[], chosen: string): [string, string][] {
  const names = apps.includes(chosen) || chosen === '' ? apps : [chosen, ...apps]
  return [['', 'all'], ...names.map((name): [string, string] => [name, cut(name, 60)])]
}

/** The window up to now, and no range of a link. */
const isWindow = ({ from, to }: Pick<JobsQuery, 'from' | 'to'>) =>
  from === undefined && to === undefined

/** `6 h`, `from 12:00:00 UTC to 14:00:00 UTC`, or `6 h up to 14:00:00 UTC`, with the days unless they are today. */
function rangeText({ window, from, to }: JobsQuery, now: Micros): string {
  const at = (time: Micros) => whenZoned(time, now)
  const start = from === undefined ? windowNames[window] : `from ${at(from)}`
  if (to === undefined) return start
  return `${start} ${from === undefined ? 'up to' : 'to'} ${at(to)}`
}

function summary(query: JobsQuery, now: Micros): string {
  const some = query.status.length > 0 && query.status.length < statuses.length
  const chosen = some ? query.status.join(', ') : 'all statuses'
  const parts = [
    rangeText(query, now),
    query.flags.length > 0 ? `only ${query.flags.join(', ')}` : chosen,
  ]
  if (query.app !== '') parts.push(cut(query.app, 60))
  if (query.version !== '') parts.push(`version ${cut(query.version, 60)}`)
  if (query.q !== '') parts.push(`“${cut(query.q, 60)}”`)
  for (const name of factNames) {
    const value = query.facts[name]
    if (value !== undefined) parts.push(`${facts[name].label.toLowerCase()} ${cut(value, 60)}`)
  }
  if (query.minAttempts !== '') parts.push(`at least ${query.minAttempts} attempts`)
  if (query.min !== '' || query.max !== '') parts.push('by duration')
  return `Filters: ${parts.join(', ')}`
}
