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
  queuedAt: string | null
  queueS: number | null
  attempt: number
  failedAttempts: number
  attempts: ExpectedAttempt[]
}

export type ExpectedAttempt = {
  attempt: number
  status: string
  queuedAt: string | null
  queueS: number | null
  startedAt: string
  endedAt: string | null
  durationS: number | null
  exitCode: string | null
  lastError: string | null
}

type E = Event['event']

export function expectedOf(every: Event[]): Expected {
  const numbers = [...new Set(every.map(attemptOf))].sort((a, b) => b - a).slice(0, 16)
  const [attempt = 1, ...earlier] = numbers
  const of = (number: number) =>
    expectedAttempt(every.filter((event) => attemptOf(event) === number))
  const shown = of(attempt)
  const withText = (name: 'business_key' | 'sub_key') =>
    every.map(({ entity }) => entity[name]).filter((key) => typeof key === 'string')
  const attempts = [
    summaryOf(attempt, shown, shown.status),
    ...earlier.map((number) => summaryOf(number, of(number), 'unknown')),
  ]
  const { exitCode, waits, ...row } = shown
  return {
    ...row,
    parent: greatest(every.flatMap(({ entity }) => entity.parent_id ?? [])),
    key: greatest(withText('business_key') as string[]),
    subKey: greatest(withText('sub_key') as string[]),
    eventCount: every.length,
    attempt,
    failedAttempts: attempts.filter(({ status }) => status === 'failed').length,
    attempts,
  }
}

const attemptOf = ({ entity }: Event) => entity.attempt ?? 1

type OneAttempt = ReturnType<typeof expectedAttempt>

const summaryOf = (attempt: number, one: OneAttempt, open: string): ExpectedAttempt => ({
  attempt,
  status: one.endedAt === null ? open : one.status,
  queuedAt: one.queuedAt,
  queueS: one.queueS,
  startedAt: one.startedAt,
  endedAt: one.endedAt,
  durationS: one.durationS,
  exitCode: one.exitCode,
  lastError: one.lastError && [...one.lastError].slice(0, 200).join(''),
})

/** What the events of one attempt say. */
function expectedAttempt(all: Event[]) {
  const events = [...all].sort((a, b) =>
    a.event.at === b.event.at
      ? compare(a.idempotency_key, b.idempotency_key)
      : compare(a.event.at, b.event.at),
  )
  const last = events.at(-1)!
  const ends = events.filter(({ event }) => isTerminal(event)).map(({ event }) => event)
  const end = ends.findLast((one) => endStatus(one) !== 'unknown') ?? ends.at(-1)
  const endedAt = end ? (end.ended_at ?? end.at) : null
  const given = usable(end?.metrics?.duration_s)
  const told = startOf(events, endedAt, given)
  const startedAt = told ?? events.map(({ event }) => event.at).sort()[0]!
  const queued = events.filter(({ event }) => event.kind === 'queued').map(({ event }) => event.at)
  const waits = queued.length > 0 && startsOf(events).every((start) => start < queued.at(-1)!)
  const failures = events.filter(({ event }) => event.kind === 'error' || isFailedEnd(event))
  const ran = told !== null || queued.length === 0
  const exitCode = end?.metadata?.exit_code ?? ''
  return {
    id: last.entity.id,
    site: last.site_id,
    app: last.app.name,
    status: end ? endStatus(end) : waits ? 'queued' : 'running',
    startedAt,
    endedAt,
    durationS:
      endedAt === null ? null : (given ?? (ran ? Math.max(0, seconds(startedAt, endedAt)) : null)),
    queuedAt: queued[0] ?? null,
    queueS: queued[0] && told ? Math.max(0, seconds(queued[0], told)) : null,
    waits,
    exitCode: exitCode === '' ? null : String(exitCode),
    cpuUserS: most(events, 'cpu_user_s'),
    cpuSystemS: most(events, 'cpu_system_s'),
    memMaxMb: most(events, 'mem_max_mb'),
    progress: latestProgress(events),
    metrics: otherMetrics(latestMetrics(events)),
    metadata: {
      ...metadataOf(events.filter(({ event }) => event.kind === 'queued')),
      ...metadataOf(events.filter(({ event }) => event.kind === 'started')),
      ...metadataOf(events.filter(({ event }) => event.kind === 'progress')),
      ...end?.metadata,
    },
    errorCount: failures.length,
    lastError: failures.length === 0 ? null : textOf(failures.at(-1)!.event),
    lastEventAt: last.event.at,
  }
}

const compare = (a: string, b: string) => (a < b ? -1 : 1)

const isTerminal = ({ kind, status }: E) =>
  kind === 'finished' || kind === 'canceled' || (kind === 'error' && status === 'failed')

function endStatus({ kind, status }: E): string {
  if (status && status !== 'running' && status !== 'queued') return status
  return kind === 'finished' ? 'succeeded' : 'canceled'
}

const isFailedEnd = (event: E) => isTerminal(event) && endStatus(event) === 'failed'

const usable = (duration: number | undefined) =>
  duration !== undefined && duration >= 0 && duration <= 1e9 ? duration : null

/** Of a later attempt a start that a hop added counts as nothing. */
const isAdded = ({ event, entity }: Event) =>
  event.started_at_added === true && (entity.attempt ?? 1) === 1

function startOf(events: Event[], endedAt: string | null, given: number | null): string | null {
  const told = givenStarts(events)
  const counted = endedAt !== null && given !== null ? minus(endedAt, given) : null
  return told[0] ?? seenStarts(events)[0] ?? counted
}

const seenStarts = (events: Event[]) =>
  events
    .flatMap((one) => [
      ...(one.event.kind === 'started' ? [one.event.at] : []),
      ...(isAdded(one) && one.event.started_at ? [one.event.started_at] : []),
    ])
    .sort()

const givenStarts = (events: Event[]) =>
  events.flatMap(({ event }) => (event.started_at_added ? [] : (event.started_at ?? []))).sort()

/** The starts that end the waiting: the earliest given, the earliest seen, and every `started`. */
function startsOf(events: Event[]): string[] {
  const started = events
    .filter(({ event }) => event.kind === 'started')
    .map(({ event }) => event.at)
  const earliest = seenStarts(events).slice(0, 1)
  return [...givenStarts(events).slice(0, 1), ...earliest, ...started]
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
  // Of 0 and -0 neither is greater: both are 0.
  return values.length === 0 ? null : values.reduce((a, b) => Math.max(a, b)) + 0
}

function latestProgress(events: Event[]): number | null {
  const said = events.map(({ event: { metrics, metadata: m } }) => {
    if (metrics?.progress !== undefined) return metrics.progress
    if (typeof m?.progress === 'number') return m.progress
    const [current, total] = [m?.current, m?.total]
    const counts = typeof current === 'number' && typeof total === 'number' && total > 0
    return counts ? current / total : Number.NaN
  })
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
  const isSaid = (value: unknown) => value !== undefined && value !== null && value !== ''
  const said = [metadata?.error, metadata?.message, metadata?.reason].find(isSaid)
  if (said !== undefined) {
    const text = typeof said === 'string' ? said : JSON.stringify(said)
    return text.slice(0, 2000).toWellFormed()
  }
  const { exit_code: code, signal } = metadata ?? {}
  if (isSaid(code) && String(code) !== '0') return `exit code ${code}`
  return isSaid(signal) ? `signal ${signal}` : kind
}

/** The expected state of every job and subjob of a history. */
export function expectedRows(events: Event[]): Map<string, Expected> {
  const groups = Map.groupBy(events, (event) => event.entity.type + event.entity.id)
  return new Map([...groups].map(([name, group]) => [name, expectedOf(group)]))
}
