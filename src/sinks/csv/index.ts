import { defineSink } from '../kind.ts'
import { settings } from './settings.ts'

/** Files of CSV. */
export const csv = defineSink({
  type: 'csv',
  about: 'Files of CSV (RFC 4180), a row for each event.',
  settings,
  limits: { events: 10_000, bytes: 4 * 2 ** 20 },
  ordered: true,
  open: async (settings, context) => (await import('./open.ts')).openCsv(settings, context),
})
