import { pino } from 'pino'
import { mountRoutes } from '../api/route.ts'
import { Auth } from '../platform/auth.ts'
import { Callers } from '../platform/callers.ts'
import { createApp } from '../platform/http.ts'
import { Metrics } from '../platform/metrics.ts'
import { RecentCounts } from '../platform/recent-counts.ts'
import { describeSpool } from '../spool/report.ts'
import { Spool } from '../spool/spool.ts'
import { checkStopped } from '../spool/verify.ts'
import type { Sidecar } from '../tools/sidecar.ts'
import { spoolRoutes } from './spool-routes.ts'

const host = '127.0.0.1'

/**
 * Opens the spool of a sidecar that is stopped: it answers the questions of a running one, by the same code.
 * Nothing is delivered. To be closed.
 *
 * @throws ConfigError when there is no spool, it is in use, of another format, or damaged
 */
export function openStopped(dir: string): { sidecar: Sidecar; close: () => void } {
  checkStopped(dir)
  process.umask(0o077)
  const log = pino({ level: 'silent' })
  // The cap is for new events, of which there are none.
  const spool = new Spool({ dir, sinks: [], maxBytes: Number.MAX_SAFE_INTEGER })
  const plansBut = (sink?: string) =>
    spool.accounts.rows
      .filter(({ name }) => name !== sink)
      .map(({ name, required }) => ({ name, required: required === 1 }))
  // Which of them are configured is not known: all are, until one is to be forgotten.
  spool.accounts.configure(plansBut())
  const app = createApp({
    ...{ log, metrics: new Metrics() },
    callers: new Callers({ names: [], listensOn: host, isOpen: false }),
  })
  app.use('/v1/spool/sinks/:id/forget', async (c, next) => {
    spool.accounts.configure(plansBut(c.req.param('id')))
    await next()
  })
  mountRoutes(
    app,
    new Auth({ anonymous: [] }),
    spoolRoutes(spool, () => [], log),
  )
  app.get('/v1/healthz', (c) => {
    const { ready, ...report } = describeSpool(spool, [], new RecentCounts())
    return c.json({ ...report, running: false }, ready ? 200 : 503)
  })
  const ask: Sidecar['ask'] = async (path, method) => {
    const answer = await app.request(`http://${host}${path}`, { method, headers: { host } })
    return { status: answer.status, body: Buffer.from(await answer.arrayBuffer()) }
  }
  return { sidecar: { url: dir, token: undefined, ask }, close: () => spool.close() }
}
