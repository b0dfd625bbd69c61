import { closeRoutes } from '../api/close-job.ts'
import type { Route } from '../api/route.ts'
import type { Event } from '../core/event.ts'
import { clock } from '../platform/clock.ts'
import { closeJob } from '../store/close-jobs.ts'
import type { Store } from '../store/connect.ts'
import type { DatabaseWatch } from '../store/database-watch.ts'
import type { LocalApiConfig } from './settings.ts'

/**
 * Where a person closes a job.
 *
 * @param onEnded called with the event that ended it
 */
export function closeDoors(
  config: LocalApiConfig,
  { write }: { write: Store },
  watch: DatabaseWatch,
  onEnded: (ended: readonly Event[]) => void,
): Route[] {
  return closeRoutes({
    close: async (id, closing) => {
      watch.assertReady()
      const { ended, ...closed } = await closeJob(write, id, closing, clock.now())
      onEnded(ended)
      return closed
    },
    readTimeoutMs: config.REQUEST_READ_TIMEOUT_S * 1000,
  })
}
