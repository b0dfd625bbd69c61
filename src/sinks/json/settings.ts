import * as z from 'zod'
import { flag } from '../../platform/settings/kinds.ts'
import { fileSettings } from '../event-files/settings.ts'

export const settings = z.strictObject({
  ...fileSettings(),
  pretty_print: flag(
    'Must be false: a line holds a whole event, and readers split files at lines.',
    false,
  ).refine(
    (isPretty) => !isPretty,
    'must be false: an event over several lines is not NDJSON, and no reader could tell where it ends; remove it',
  ),
})

export type Settings = z.output<typeof settings>
