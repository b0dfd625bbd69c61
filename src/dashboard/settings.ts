import * as z from 'zod'
import { rule } from '../platform/settings/group.ts'
import { flag, httpUrl, number, text } from '../platform/settings/kinds.ts'

export const dashboardSettings = z
  .object({
    LOCAL_API: httpUrl('Local API to show; set this or CENTRAL_API.', { place: true }).optional(),
    CENTRAL_API: httpUrl('Central API to show; set this or LOCAL_API.', { place: true }).optional(),
    DEFAULT_SITE: text('Site shown first; with LOCAL_API, the only site shown.', {
      place: true,
    }).optional(),
    SIMULATED: flag(
      'Say on every page that there are simulated jobs; `wafermon up` sets it.',
      false,
    ),
    REQUEST_TIMEOUT_S: number('Maximum time to wait for the API.', {
      ...{ min: 0.1, max: 600, standard: 10, unit: 's' },
    }),
  })
  .check(
    rule(({ LOCAL_API, CENTRAL_API }) =>
      LOCAL_API && CENTRAL_API ? 'LOCAL_API, CENTRAL_API: set one of them, not both' : undefined,
    ),
    rule(
      ({ LOCAL_API, CENTRAL_API }) =>
        LOCAL_API === undefined && CENTRAL_API === undefined
          ? 'LOCAL_API, CENTRAL_API: set one of them, the API that the dashboard shows (neither is set)'
          : undefined,
      { unset: true },
    ),
  )
