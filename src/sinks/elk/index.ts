import { defineSink } from '../kind.ts'
import { settings } from './settings.ts'

/** Elasticsearch or OpenSearch. */
export const elk = defineSink({
  type: 'elk',
  about: 'Elasticsearch or OpenSearch, by `POST /_bulk`, a document for each event.',
  settings,
  // With the line before each document a request stays under 5 MB.
  limits: { events: 1000, bytes: 4_500_000 },
  ordered: false,
  open: async (settings, context) => (await import('./open.ts')).openElk(settings, context),
})
