import * as z from 'zod'
import { readable } from '../../platform/settings/group.ts'
import { number, text } from '../../platform/settings/kinds.ts'

export const settings = z
  .strictObject({
    path: text('JavaScript file of the sink: an ES module that exports `open`.', { file: true }),
    options: z
      .record(z.string(), z.unknown(), 'must be an object')
      .default({})
      .meta({ description: 'Handed to `open` as it is.', secret: true }),
    timeout: number('Maximum time for a batch; then the worker is ended, and started again.', {
      ...{ min: 0.1, max: 600, standard: 30, unit: 's' },
    }),
  })
  .check(readable('path', 'give a JavaScript file that this user may read'))

export type Settings = z.output<typeof settings>
