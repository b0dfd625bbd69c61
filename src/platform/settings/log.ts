import * as z from 'zod'
import { choice, flag, text } from './kinds.ts'

export const logSettings = z.object({
  LOG_LEVEL: choice('Lowest level to log.', ['trace', 'debug', 'info', 'warn', 'error'], 'info'),
  JSON_LOGS: flag('Log one JSON object per line; false logs plain text.', true, { place: true }),
  SERVICE_NAME: text('Service name in logs, traces and health; the name of the role unless set.', {
    place: true,
  }).optional(),
})
