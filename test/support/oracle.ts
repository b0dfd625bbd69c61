import type { Event } from '../../src/core/event.ts'

/**
 * The state of a job, read off the whole list of its events as in wire.md, section 5: no slots,
 * no merging, nothing shared with src/core/fold.ts or the SQL. Both are compared with it.
 */
export type Expected = {
  id: string
  parent: string | null
  site: string
  app: string
  key: string | null
  subKey: string | null
  status: string
  startedAt: string
  endedAt: string | null
  durationS: number | null
  cpuUserS: number | null
  cpuSystemS: number | null
  memMaxMb: number | null
  progress: number | null
  metrics: Record<string, number>
  metadata: Record<string, unknown>
  errorCount: number
  lastError: string | null
  lastEventAt: string
  eventCount: number
}

type E = Event['event']

export function expectedOf(all: Event[]): Expected {
  const events = [...all].sort((a, b) =>
    a.event.at === b.event.at
      ? compare(a.idempotency_key, b.idempotency_key)
      : compare(a.event.at, b.event.at),
  )
  const last = events.at(-1)!
  const end = events.filter((event) => isTerminal(event.event)).at(-1)?.event
  const endedAt = end ? (end.ended_at ?? end.at) : null
  const given = usable(end?.metrics?.duration_s)
  const startedAt = startOf(events, endedAt, given)
  const failures = events.filter(({ event }) => event.kind === 'error' || isFailedEnd(event))
  const withText = (name: 'business_key' | 'sub_key') =>
    events.map(({ entity }) => entity[name]).filter((key) => typeof key === 'string')
  return {
    id: last.entity.id,
    parent: greatest(events.flatMap(({ entity }) => entity.parent_id ?? [])),
    site: last.site_id,
    app: last.app.name,
    key: greatest(withText('business_key') as string[]),
    subKey: greatest(withText('sub_key') as string[]),
    status: end ? endStatus(end) : 'running',
    startedAt,
    endedAt,
    durationS: endedAt === null ? null : (given ?? Math.max(0, seconds(startedAt, endedAt))),
    cpuUserS: most(events, 'cpu_user_s'),
    cpuSystemS: most(events, 'cpu_system_s'),
    memMaxMb: most(events, 'mem_max_mb'),
    progress: latestProgress(events),
    metrics: otherMetrics(latestMetrics(events)),
    metadata: {
      ...metadataOf(events.filter(({ event }) => event.kind === 'started')),
      ...metadataOf(events.filter(({ event }) => event.kind === 'progress')),
      ...end?.metadata,
    },
    errorCount: failures.length,
    lastError: failures.length === 0 ? null : textOf(failures.at(-1)!.event),
    lastEventAt: last.event.at,
    eventCount: events.length,
  }
}

const compare = (a: string, b: string) => (a < b ? -1 : 1)

const isTerminal = ({ kind, status }: E) =>
  kind === 'finished' || kind === 'canceled' || (kind === 'error' && status === 'failed')

function endStatus({ kind, status }: E): string {
  if (status && status !== 'running') return status
  return kind === 'finished' ? 'succeeded' : 'canceled'
}

const isFailedEnd = (event: E) => isTerminal(event) && endStatus(event) === 'failed'

const usable = (duration: number | undefined) =>
  duration !== undefined && duration >= 0 && duration <= 1e9 ? duration : null

function startOf(events: Event[], endedAt: string | null, given: number | null): string {
  const told = events
    .flatMap(({ event }) => (event.started_at_added ? [] : (event.started_at ?? [])))
    .sort()
  const started = events.flatMap(({ event }) => [
    ...(event.kind === 'started' ? [event.at] : []),
    ...(event.started_at_added && event.started_at ? [event.started_at] : []),
  ])
  const counted = endedAt !== null && given !== null ? minus(endedAt, given) : undefined
  return told[0] ?? started.sort()[0] ?? counted ?? events.map(({ event }) => event.at).sort()[0]!
}

const micros = (time: string) => BigInt(Date.parse(time)) * 1000n + BigInt(time.slice(23, 26))
const seconds = (from: string, to: string) => Number(micros(to) - micros(from)) / 1e6

function minus(time: string, durationS: number): string {
  const exact = durationS * 1e6
  const floor = Math.floor(exact)
  const half = exact - floor === 0.5
  const rounded = half ? floor + (floor % 2) : Math.round(exact)
  const us = micros(time) - BigInt(rounded)
  const rest = ((us % 1000n) + 1000n) % 1000n
  const date = new Date(Number((us - rest) / 1000n)).toISOString()
  return `${date.slice(0, 23)}${String(rest).padStart(3, '0')}Z`
}

const bytes = (text: string) => Buffer.from(text)

function greatest(values: string[]): string | null {
  return values.sort((a, b) => Buffer.compare(bytes(a), bytes(b))).at(-1) ?? null
}

function most(events: Event[], name: string): number | null {
  const said = events.flatMap(({ event }) => event.metrics?.[name] ?? [])
  const values = said.filter((value) => value >= 0)
  return values.length === 0 ? null : values.reduce((a, b) => Math.max(a, b))
}

function latestProgress(events: Event[]): number | null {
  const said = events.flatMap(({ event }) => event.metrics?.progress ?? [])
  return said.filter((value) => value >= 0 && value <= 1).at(-1) ?? null
}

function latestMetrics(events: Event[]): Map<string, number> {
  return new Map(events.flatMap(({ event }) => Object.entries(event.metrics ?? {})))
}

function otherMetrics(latest: Map<string, number>): Record<string, number> {
  const own = ['duration_s', 'cpu_user_s', 'cpu_system_s', 'mem_max_mb', 'progress']
  const names = [...latest.keys()].filter((name) => !own.includes(name))
  names.sort((a, b) => Buffer.compare(bytes(a), bytes(b)))
  return Object.fromEntries(names.slice(0, 64).map((name) => [name, latest.get(name)!]))
}

function metadataOf(events: Event[]): Record<string, unknown> {
  const carrying = events.filter(({ event }) => Object.keys(event.metadata ?? {}).length > 0)
  return carrying.at(-1)?.event.metadata ?? {}
}

function textOf({ metadata, kind }: E): string {
  const said = [metadata?.error, metadata?.message].find(
    (v) => v !== undefined && v !== null && v !== '',
  )
  if (said === undefined) return kind
  return (typeof said === 'string' ? said : JSON.stringify(said)).slice(0, 2000).toWellFormed()
}

/** The expected state of every job and subjob of a history. */
export function expectedRows(events: Event[]): Map<string, Expected> {
  const groups = Map.groupBy(events, (event) => event.entity.type + event.entity.id)
  return new Map([...groups].map(([name, group]) => [name, expectedOf(group)]))
}
