import * as z from 'zod'
import { askSidecar, type Sidecar } from '../sidecar.ts'
import { ageText, grouped, table } from '../table.ts'
import { fits } from './rejects.ts'

const sinkSchema = z.looseObject({
  lag_events: z.number(),
  lag_s: z.number(),
  failures: z.number(),
  rejects: z.number(),
  reason: z.string().optional(),
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
})
/** The spool as its sidecar reports it. */
export type SpoolStatus = z.infer<typeof healthSchema>

/** @throws AppError when there is no sidecar */
export async function spoolStatus(sidecar: Sidecar): Promise<SpoolStatus> {
  const answer = await askSidecar(sidecar, '/v1/healthz', { good: [200, 503] })
  return fits(healthSchema, answer, sidecar.url)
}

/** For people: the spool, and a line for each sink. */
export function statusText(status: SpoolStatus): string {
  const { trouble, damaged, carrying_over } = status
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
  ]
  const rows = sinks.map(([name, { lag_events, lag_s, failures, rejects, reason }]) => [
    name,
    grouped(lag_events),
    ageText(lag_s),
    grouped(failures),
    grouped(rejects),
    reason ?? '',
  ])
  const titles = ['SINK', 'WAITING', 'OLDEST', 'FAILURES', 'REJECTS', 'WHY IT WAITS']
  return `${table(head)}\n\n${table([titles, ...rows])}\n`
}
