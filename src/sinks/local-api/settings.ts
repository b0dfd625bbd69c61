import * as z from 'zod'
import { number, text, url } from '../../platform/settings.ts'

export const settings = z.strictObject({
  base_url: url(['http', 'https'], 'Address of the local API.'),
  token: text('Token to send; made there by `wafermon token new --scope ingest`.')
    .regex(/^[!-~]+$/, 'must be one word of ASCII characters, as `wafermon token new` prints it')
    .meta({ secret: true })
    .optional(),
  timeout_s: number(0.1, 600, 30, 's', 'Maximum wait for the whole response.'),
})

export type Settings = z.output<typeof settings>
