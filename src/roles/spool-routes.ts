import type { Logger } from 'pino'
import { integrationRoutes } from '../api/integrations.ts'
import { rejectRoutes } from '../api/rejects.ts'
import type { Route } from '../api/route.ts'
import { spoolEventRoutes } from '../api/spool-events.ts'
import { spoolSinkRoutes } from '../api/spool-sinks.ts'
import type { Drain } from '../spool/drain.ts'
import { listIntegrations } from '../spool/integrations.ts'
import { lookAt } from '../spool/look.ts'
import type { Spool } from '../spool/spool.ts'

/** What an operator sees of a spool and does to it, while its sidecar runs or is stopped. */
export function spoolRoutes(spool: Spool, drains: () => readonly Drain[], log: Logger): Route[] {
  const { accounts, rejects } = spool
  return [
    ...integrationRoutes(() => listIntegrations(spool, drains())),
    ...spoolEventRoutes({ look: (how) => lookAt(spool, how) }),
    ...rejectRoutes({
      list: (limit, beforeId, sink) => rejects.list(limit, beforeId, sink),
      get: (id) => rejects.get(id),
      retry: (id) => spool.retryReject(id),
      drop: (ids, sink) => rejects.drop(ids, sink),
    }),
    ...spoolSinkRoutes({
      forget(sink) {
        const isThere = accounts.forget(sink)
        if (isThere) log.warn({ sink }, 'sink forgotten by an operator, with what it was owed')
        return isThere
      },
      pause(sink, reason) {
        const isThere = accounts.pause(sink, reason)
        if (isThere) log.warn({ sink, reason }, 'sink paused by an operator')
        return isThere
      },
      resume(sink) {
        const isThere = accounts.resume(sink)
        if (isThere) log.info({ sink }, 'sink resumed by an operator')
        return isThere
      },
      skip(sink, reason, upTo) {
        const events = accounts.skip(sink, reason, upTo)
        if (events) log.warn({ sink, reason, events }, 'events skipped by an operator')
        return events
      },
    }),
  ]
}
