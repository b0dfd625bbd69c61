import { defineSink } from '../kind.ts'
import { settings } from './settings.ts'

/** A sink of the user's own. */
export const moduleSink = defineSink({
  type: 'module',
  about: 'A sink of your own, in a worker: a JavaScript file.',
  settings,
  limits: { events: 1000, bytes: 2 ** 20 },
  ordered: true,
  open: async (settings, context) => (await import('./open.ts')).openModule(settings, context),
})
