import type { ContentfulStatusCode } from 'hono/utils/http-status'
import * as z from 'zod'
import { sleep } from '../platform/backoff.ts'
import { describeClock } from '../platform/clock.ts'
import { version } from '../platform/version.ts'
import { named } from './answers.ts'
import type { Route } from './route.ts'

/** The state of a role, in its own words. */
export type HealthReport = {
  /** False makes the answer 503: send this role no work. */
  ready: boolean
  status: 'ok' | 'degraded'
  [detail: string]: unknown
}

export type HealthOptions = {
  service: string
  check: () => HealthReport | Promise<HealthReport>
}

/** A check that takes longer is a fault itself, of a disk for example. Milliseconds. */
const longestCheckMs = 5000

/** Never waits for long: a probe must not have to guess what silence means. */
async function inTime(check: HealthOptions['check']): Promise<HealthReport> {
  const answered = new AbortController()
  const stuck = sleep(longestCheckMs, answered.signal).then(
    (): HealthReport => ({
      ready: false,
      status: 'degraded',
      trouble: `the health check did not finish within ${longestCheckMs / 1000} s: is a disk or the database stuck?`,
    }),
  )
  return Promise.race([check(), stuck]).finally(() => answered.abort())
}

const health = named(
  'Health',
  z.looseObject({
    status: z.enum(['ok', 'degraded']),
    service: z.string(),
    version: z.string(),
    clock: z
      .object({
        steps: z.number(),
        suspends: z.number(),
        last: z.object({ kind: z.enum(['step', 'suspend']), at: z.string(), by_s: z.number() }),
      })
      .optional()
      .describe(
        'How often the clock of the machine was set, and the machine slept, since the role started; absent while neither was noticed.',
      ),
  }),
)

/** Open: probes carry no token, and the answer has nothing about jobs. */
export const healthRoute = ({ service, check }: HealthOptions): Route => ({
  method: 'get',
  path: '/v1/healthz',
  tag: 'This role',
  summary: 'Shows the health of this role',
  description:
    '200 when it can do its work, even degraded; 503 with the same shape when it cannot.',
  answer: { 'application/json': [health] },
  alsoAnswers: { 503: 'The role cannot do its work.' },
  async handle(c) {
    const { ready, status, ...details } = await inTime(check)
    const code: ContentfulStatusCode = ready ? 200 : 503
    const shown = ready ? status : 'degraded'
    return c.json({ status: shown, service, version, ...describeClock(), ...details }, code)
  },
})
