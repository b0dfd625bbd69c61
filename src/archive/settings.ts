import * as z from 'zod'
import { number, text } from '../platform/settings/kinds.ts'
import { keepYears } from './keep-years.ts'
import { placeSettings } from './places/index.ts'

export const archiveSettings = z.object({
  SITE_ID: text('Site to archive; every site of the database unless set.', {
    place: true,
  }).optional(),
  ...placeSettings,
  ARCHIVE_INTERVAL_HOURS: number('How often to look for closed days.', {
    ...{ min: 0.001, max: 24, standard: 1, unit: 'h' },
  }),
  ARCHIVE_LATE_HOURS: number(
    'How long late events and changed jobs of an archived day wait until they become a further part of it; 10,000 of them do not wait.',
    { min: 0.001, max: 720, standard: 24, unit: 'h' },
  ),
  ARCHIVE_KEEP_YEARS: keepYears,
})
