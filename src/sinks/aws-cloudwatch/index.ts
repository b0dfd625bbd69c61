import { defineSink } from '../kind.ts'
import { settings } from './settings.ts'

/** AWS CloudWatch: logs and metrics. */
export const awsCloudwatch = defineSink({
  type: 'aws_cloudwatch',
  about: 'AWS CloudWatch: a line of CloudWatch Logs for each event, metrics for each end of a job.',
  settings,
  limits: { events: 10_000, bytes: 4 * 2 ** 20 },
  ordered: false,
  open: async (settings, context) => (await import('./open.ts')).openCloudWatch(settings, context),
})
