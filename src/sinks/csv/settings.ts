import * as z from 'zod'
import { delimiters } from '../../core/csv.ts'
import { flag } from '../../platform/settings/kinds.ts'
import { fileSettings } from '../event-files/settings.ts'

export const settings = z.strictObject({
  ...fileSettings(),
  include_headers: flag('Begin each file with the names of the columns.', true),
  delimiter: z
    .enum(delimiters, 'must be one of , ; | or a tab')
    .default(',')
    .meta({ description: 'Ends a field.', range: 'comma, semicolon, bar or tab' }),
})

export type Settings = z.output<typeof settings>
