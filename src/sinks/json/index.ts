import { defineSink } from '../kind.ts'
import { settings } from './settings.ts'

/** Files of JSON lines. */
export const json = defineSink({
  type: 'json',
  about: 'Files of NDJSON, a line for each event, as it travels.',
  settings,
  limits: { events: 10_000, bytes: 4 * 2 ** 20 },
  ordered: true,
  open: async (settings, context) => (await import('./open.ts')).openJson(settings, context),
})
