import { defineSink } from '../kind.ts'
import { settings } from './settings.ts'

/** AWS X-Ray. */
export const awsXray = defineSink({
  type: 'aws_xray',
  about: 'AWS X-Ray: a segment for each job that ended, a subsegment for each subjob.',
  settings,
  limits: { events: 1000, bytes: 4 * 2 ** 20 },
  ordered: false,
  open: async (settings, context) => (await import('./open.ts')).openXray(settings, context),
})
