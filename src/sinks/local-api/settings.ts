import * as z from 'zod'
import { httpUrl, number, tokenToSend } from '../../platform/settings/kinds.ts'

export const settings = z.strictObject({
  base_url: httpUrl('Address of the local API.'),
  token: tokenToSend('Token to send; made there by `wafermon token new --scope ingest`.'),
  timeout_s: number('Maximum wait for the whole response.', {
    ...{ min: 0.1, max: 600, standard: 30, unit: 's' },
  }),
})

export type Settings = z.output<typeof settings>
