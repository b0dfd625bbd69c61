import { defineSink } from '../kind.ts'
import { settings } from './settings.ts'

/** Any receiver of HTTP. */
export const webhook = defineSink({
  type: 'webhook',
  about: 'Any receiver of HTTP, an event per request or in batches, signed by Standard Webhooks.',
  settings,
  limits: { events: 1000, bytes: 2 ** 20 },
  ordered: true,
  open: async (settings, context) => (await import('./open.ts')).openWebhook(settings, context),
})
