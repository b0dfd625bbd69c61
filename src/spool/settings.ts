import { resolve } from 'node:path'
import * as z from 'zod'
import { withWarning } from '../platform/settings/group.ts'
import { number, text, wholeNumber } from '../platform/settings/kinds.ts'

const settings = z.object({
  SPOOL_DIR: text('Spool folder: a state directory that survives reboots, not /tmp.', {
    place: true,
  }).default('/var/lib/wafermon/spool'),
  SPOOL_MAX_BYTES: wholeNumber(
    'Maximum size of the spool on disk. When what required sinks are owed is above 80 % of it, progress and metric events are refused, at 100 % all events.',
    { min: 2 ** 24, max: 2 ** 44, standard: 2 ** 30, unit: 'bytes' },
  ),
  MAX_BATCH_SIZE: wholeNumber('Maximum events per delivery.', {
    ...{ min: 1, max: 10_000, standard: 500, unit: 'events' },
  }),
  DRAIN_INTERVAL_S: number(
    'How often an idle drain looks for events; a new event wakes it immediately.',
    { min: 0.05, max: 3600, standard: 2, unit: 's' },
  ),
})

export const spoolSettings = withWarning(settings, ({ SPOOL_DIR }) =>
  SPOOL_DIR && `${resolve(SPOOL_DIR)}/`.startsWith('/tmp/')
    ? 'SPOOL_DIR: is in /tmp, which a reboot empties; use a state directory'
    : undefined,
)
