import { defineSink } from '../kind.ts'
import { settings } from './settings.ts'

/** The local API of the site. */
export const localApi = defineSink({
  type: 'local_api',
  about: 'The local API of the site, by `POST /v1/ingest/events:batch`.',
  settings,
  // Well under what the other side accepts by default.
  limits: { events: 10_000, bytes: 4 * 2 ** 20 },
  ordered: false,
  open: async (settings, context) => (await import('./open.ts')).openLocalApi(settings, context),
})
