import * as z from 'zod'
import { atMost } from '../platform/settings/group.ts'
import { choice, number, postgresUrl, wholeNumber } from '../platform/settings/kinds.ts'

export const databaseSettings = z
  .object({
    DATABASE_URL: postgresUrl(
      'PostgreSQL or TimescaleDB database of the site. A socket is written ?host=/folder.',
      { place: true },
    ),
    DB_POOL_MIN_SIZE: wholeNumber('Connections opened at start.', {
      ...{ min: 0, max: 500, standard: 2, unit: 'connections' },
    }),
    DB_POOL_MAX_SIZE: wholeNumber('Maximum connections held open.', {
      ...{ min: 2, max: 500, standard: 10, unit: 'connections' },
    }),
  })
  .check(atMost('DB_POOL_MIN_SIZE', 'DB_POOL_MAX_SIZE'))
export type DatabaseConfig = z.infer<typeof databaseSettings>

/** How long raw events stay: read by the local API, and by the archiver that drops them. */
export const retentionSettings = z.object({
  RETENTION_HOURS: number(
    'How long raw events stay in the hot store; with an archive also until it has them.',
    { min: 1, max: 87_600, standard: 72, unit: 'h' },
  ),
})

export const storeSettings = z
  .object({
    QUERY_TIMEOUT_S: number('Maximum time for a query; after it the answer is 503.', {
      ...{ min: 0.1, max: 600, standard: 15, unit: 's' },
    }),
    FREEZE_AFTER_HOURS: number(
      'Events older than this go to event_late. At most RETENTION_HOURS.',
      { min: 1, max: 8760, standard: 48, unit: 'h' },
    ),
    LIVE_KEEP_HOURS: number('How far back a live stream can resume.', {
      ...{ min: 0.1, max: 720, standard: 24, unit: 'h' },
    }),
    ARCHIVE: choice(
      'Set to off where no archiver keeps the history: raw events are then dropped by age alone.',
      ['on', 'off'],
      'on',
    ),
    LOST_AFTER_S: number(
      'A job or subjob that has been lost for so long is closed with the status unknown; 0 closes none.',
      { min: 0, max: 31_536_000, standard: 0, unit: 's' },
    ),
    ...retentionSettings.shape,
  })
  .check(atMost('FREEZE_AFTER_HOURS', 'RETENTION_HOURS'))
