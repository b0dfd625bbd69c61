import { uuidV5 } from '../../core/uuid.ts'
import { SidecarEmitter, startJob, type WireEvent } from '../../sdk/index.ts'
import type { Sidecar } from '../sidecar.ts'
import type { App } from './fab.ts'
import { type PlannedJob, type PlannedPart, type PlanOptions, planJobs } from './plan.ts'

export type HistoryOptions = Omit<PlanOptions, 'startMs' | 'partsFromMs'> & {
  sidecar: Sidecar
  siteId: string
  /** The past to fill, in ms since 1970: jobs that started and ended in it. */
  fromMs: number
  toMs: number
  /** Subjobs, and the starts of jobs besides their ends, are reported of jobs from here on. */
  detailsFromMs: number
}

/** Events handed to the SDK before waiting for the sidecar; its queue holds 10,000. */
const atOnce = 5000
/** A job that fell silent is closed by an operator after this long. */
const closedAfterMs = 15 * 60_000

/**
 * Reports the past of the simulated fab through the SDK, as history. A job of which only the end is
 * reported is complete all the same: the end repeats its start and its metadata.
 *
 * @returns the number of events that the sidecar took
 */
export async function sendHistory(options: HistoryOptions, signal: AbortSignal): Promise<number> {
  const { sidecar } = options
  const emitter = new SidecarEmitter({
    baseUrl: sidecar.url,
    token: sidecar.token,
    maxBatch: 1000,
    lingerMs: 0,
  })
  const delivered = async () => {
    while (!signal.aborted && !(await emitter.flush(500)));
  }
  let waiting = 0
  for (const event of historyOf(options)) {
    if (signal.aborted) break
    emitter.send(event)
    if (++waiting % atOnce === 0) await delivered()
  }
  await delivered()
  await emitter.close(0)
  return emitter.stats.delivered
}

/** The events of the jobs, in the order in which the jobs start. */
export function* historyOf(options: Omit<HistoryOptions, 'sidecar'>): Generator<WireEvent> {
  const { fromMs, toMs, detailsFromMs, ...plan } = options
  const partsFromMs = detailsFromMs - fromMs
  for (const job of planJobs({ ...plan, startMs: fromMs, partsFromMs })) {
    if (fromMs + job.atMs >= toMs) return
    const closed = job.outcome === 'silent' ? closeByOperator(job) : job
    if (fromMs + closed.atMs + closed.durationMs >= toMs) continue
    if (job.atMs >= partsFromMs) yield startOf(closed, options)
    for (const part of closed.parts) yield endOf(part, closed, options)
    yield endOf(closed, closed, options)
  }
}

function closeByOperator(job: PlannedJob): PlannedJob {
  const reason = 'no sign of life, closed by the operator'
  const durationMs = job.durationMs + closedAfterMs
  const parts = job.parts.filter(({ outcome }) => outcome !== 'silent')
  return { ...job, durationMs, outcome: 'canceled', reason, parts }
}

type Place = Pick<HistoryOptions, 'siteId' | 'fromMs'>

function startOf(job: PlannedJob, place: Place): WireEvent {
  const at = timeOf(place.fromMs + job.atMs)
  return {
    ...envelope(job, job, place, 'start'),
    event: { kind: 'started', at, started_at: at, metadata: job.metadata as never },
  }
}

const kinds = { succeeded: 'finished', failed: 'error', canceled: 'canceled' } as const

/** The end of a job or of a part of it, with everything that is known of it. */
function endOf(one: PlannedJob | PlannedPart, job: PlannedJob, place: Place): WireEvent {
  const outcome = one.outcome as keyof typeof kinds
  const endedAt = timeOf(place.fromMs + one.atMs + one.durationMs)
  const { error, reason } = job
  const metadata = {
    ...(one === job ? job.metadata : {}),
    ...(outcome === 'failed' && error ? { error_type: error[0], error: error[1] } : {}),
    ...(outcome === 'canceled' && reason ? { reason } : {}),
  }
  return {
    ...envelope(one, job, place, 'end'),
    event: {
      kind: kinds[outcome],
      status: outcome,
      at: endedAt,
      started_at: timeOf(place.fromMs + one.atMs),
      ended_at: endedAt,
      metrics: { duration_s: one.durationMs / 1000, ...metricsOf(one) },
      metadata: metadata as never,
    },
  }
}

const metricsOf = (one: PlannedJob | PlannedPart): Record<string, number> =>
  'metrics' in one ? one.metrics : { cpu_user_s: one.cpuUserS, mem_max_mb: one.memMb }

function envelope(one: PlannedJob | PlannedPart, job: PlannedJob, { siteId }: Place, what: string) {
  const isPart = 'key' in one
  return {
    idempotency_key: uuidV5(`${one.id}\n${what}`),
    site_id: siteId,
    app: identityOf(job.app),
    entity: {
      type: isPart ? ('subjob' as const) : ('job' as const),
      id: one.id,
      parent_id: isPart ? job.id : null,
      business_key: job.lot,
      sub_key: isPart ? one.key : null,
    },
    historical: true,
  }
}

const identities = new Map<string, WireEvent['app']>()

/** A program as the SDK names it, so that its past and its present are one program's. */
function identityOf({ name, version }: App): WireEvent['app'] {
  const known = identities.get(name)
  if (known) return known
  let identity: WireEvent['app'] = { app_id: uuidV5(name), name, version }
  const emitter = {
    send: ({ app }: WireEvent) => {
      identity = app
    },
  }
  startJob({ app: { name, version }, siteId: 'fab1', parent: null, emitter })
  identities.set(name, identity)
  return identity
}

const timeOf = (ms: number) => new Date(ms).toISOString()
