import { acceptRoutes } from '../api/accept-source.ts'
import { heartbeatRoutes } from '../api/heartbeat.ts'
import type { Route } from '../api/route.ts'
import { acceptSource } from '../store/accept-source.ts'
import type { Store } from '../store/connect.ts'
import type { DatabaseWatch } from '../store/database-watch.ts'
import { saveHeartbeat } from '../store/source-state.ts'
import type { LocalApiConfig } from './settings.ts'

/** Where sidecars say how they are, and where a person accepts what one has lost. */
export function sourceDoors(
  config: LocalApiConfig,
  { state }: { state: Store },
  watch: DatabaseWatch,
): Route[] {
  const readTimeoutMs = config.REQUEST_READ_TIMEOUT_S * 1000
  return [
    ...heartbeatRoutes({
      save: async (said, receivedAt) => {
        watch.assertReady()
        await saveHeartbeat(state, said, receivedAt)
      },
      readTimeoutMs,
    }),
    ...acceptRoutes({
      accept: async (id, acceptance) => {
        watch.assertReady()
        return acceptSource(state, id, acceptance)
      },
      readTimeoutMs,
    }),
  ]
}
