import * as z from 'zod'
import { named, seconds, text, time, whole } from './answers.ts'
import type { Route } from './route.ts'

const integration = z.object({
  name: text('Its name in the configuration.'),
  type: text('Its kind; null when it is not configured any more.').nullable(),
  required: z
    .boolean()
    .describe('It misses no event: what it is owed may close the door to programs.'),
  state: z
    .enum(['ok', 'failing', 'stopped', 'detached', 'disabled'])
    .describe(
      'ok; failing: the last delivery failed, will retry; stopped: an operator has to act, or has paused it; detached: it is not configured, and its events are kept; disabled: it is configured and not enabled.',
    ),
  lag_events: whole('Events that it is owed.'),
  lag_s: seconds('Age of the oldest of them, in seconds; 0 without any.'),
  lag_bytes: whole('Their size.'),
  delivered: whole('Events that it took when they were first offered.'),
  filtered: whole('Events that its filter left out.'),
  rejects: whole('Events that it refused, and that are set aside.'),
  skipped: whole('Events that it does without.'),
  failures: whole('Deliveries that failed in a row.'),
  last_error: text(
    'Why it is paused, or the last failure since the sidecar started; null without one. Secrets of the configuration are masked.',
  ).nullable(),
  last_delivery_at: time(
    'The last delivery since the sidecar started; null without one.',
  ).nullable(),
})
export type IntegrationView = z.infer<typeof integration>

const integrations = named(
  'Integrations',
  z.object({
    total: whole('Number of sinks: those that are configured, and those that events are kept for.'),
    enabled: whole('How many of them are offered events.'),
    integrations: z.array(integration),
  }),
)

/** The sinks of a sidecar. @param list those that are configured in their order, then the others */
export const integrationRoutes = (list: () => readonly IntegrationView[]): Route[] => [
  {
    method: 'get',
    path: '/v1/integrations',
    tag: 'Pipeline',
    summary: 'Lists the sinks of this sidecar, with what each is owed and how it is',
    scope: 'read',
    answer: { 'application/json': [integrations] },
    handle(c) {
      const all = list()
      const isEnabled = ({ state }: IntegrationView) => state !== 'detached' && state !== 'disabled'
      return c.json({ total: all.length, enabled: all.filter(isEnabled).length, integrations: all })
    },
  },
]
