import * as z from 'zod'
import { askSidecar, type Sidecar } from '../sidecar.ts'
import { ageText, grouped, table } from '../table.ts'
import { fits } from './rejects.ts'
import { noSuchSink } from './sinks.ts'

const sinkSchema = z.looseObject({
  lag_events: z.number(),
  lag_s: z.number(),
  failures: z.number(),
  rejects: z.number(),
  reason: z.string().optional(),
  /** Absent from a sidecar of an earlier version. */
  state: z.string().optional(),
  retrying: z.number().optional(),
  accepted: z.number().optional(),
  delivered: z.number().optional(),
  filtered: z.number().optional(),
  rejected: z.number().optional(),
  skipped: z.number().optional(),
})

const healthSchema = z.looseObject({
  status: z.string(),
  spool_count: z.number(),
  spool_bytes: z.number(),
  spool_dir: z.string(),
  sinks: z.record(z.string(), sinkSchema),
  /** Why it takes no events at the moment. */
  trouble: z.string().optional(),
  damaged: z.unknown().optional(),
  carrying_over: z.unknown().optional(),
  behind: z.unknown().optional(),
  record: z.unknown().optional(),
  source_id_change: z.unknown().optional(),
  faults: z.array(z.string()).optional(),
})
/** The spool as its sidecar reports it. */
export type SpoolStatus = z.infer<typeof healthSchema>

/** @throws AppError when there is no sidecar */
export async function spoolStatus(sidecar: Sidecar): Promise<SpoolStatus> {
  const answer = await askSidecar(sidecar, '/v1/healthz', { good: [200, 503] })
  return fits(healthSchema, answer, sidecar.url)
}

/** The same with one sink alone. @throws AppError not_found when there is none of that name */
export function withSink(status: SpoolStatus, sink: string | undefined): SpoolStatus {
  if (sink === undefined) return status
  const found = status.sinks[sink]
  if (!found) throw noSuchSink(sink)
  return { ...status, sinks: { [sink]: found } }
}

/** For people: the spool, and a line for each sink. */
export function statusText(status: SpoolStatus): string {
  const { trouble, damaged, carrying_over, behind, record, source_id_change } = status
  const sinks = Object.entries(status.sinks)
  const oldestS = Math.max(0, ...sinks.map(([, { lag_s }]) => lag_s))
  const head = [
    ['spool', status.spool_dir],
    ['status', trouble ? `accepts no events: ${trouble}` : status.status],
    ['events', grouped(status.spool_count)],
    ['bytes', grouped(status.spool_bytes)],
    ['oldest', ageText(oldestS)],
    ...(damaged ? [['damaged', `set aside at start: ${JSON.stringify(damaged)}`]] : []),
    ...(carrying_over ? [['carrying over', JSON.stringify(carrying_over)]] : []),
    ...(behind ? [['missing', `events that were there before: ${JSON.stringify(behind)}`]] : []),
    ...(record ? [['record', `lost events would not be noticed: ${record}`]] : []),
    ...(source_id_change ? [['source id', JSON.stringify(source_id_change)]] : []),
    ...(status.faults ?? []).map((fault) => ['fault', fault]),
  ]
  const rows = sinks.map(([name, sink]) => [
    name,
    sink.state ?? '',
    grouped(sink.lag_events + (sink.retrying ?? 0)),
    ageText(sink.lag_s),
    grouped(sink.failures),
    grouped(sink.rejects),
    grouped(sink.skipped ?? 0),
    sink.reason ?? '',
  ])
  const titles = [
    ...['SINK', 'STATE', 'WAITING', 'OLDEST', 'FAILURES', 'REJECTS', 'SKIPPED', 'WHY IT WAITS'],
  ]
  return `${table(head)}\n\n${table([titles, ...rows])}\n`
}

/** What does not add up in the accounts of its sinks, in words; empty when each event is accounted for. */
export function findOdd({ sinks }: SpoolStatus): string[] {
  return Object.entries(sinks).flatMap(([name, sink]) => {
    const { accepted = 0, delivered = 0, filtered = 0, rejected = 0, skipped = 0 } = sink
    const sum = delivered + filtered + rejected + skipped + sink.lag_events
    return sum === accepted
      ? []
      : [`${name}: ${accepted} events came in, and ${sum} are accounted for`]
  })
}
