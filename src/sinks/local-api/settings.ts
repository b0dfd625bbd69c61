import * as z from 'zod'
import { httpUrl, number, tokenToSend } from '../../platform/settings/kinds.ts'

export const settings = z.strictObject({
  base_url: httpUrl('Address of the local API.'),
  token: tokenToSend(
    'Token to send; created on the host of the local API with `wafermon token new --scope forward`.',
  ),
  timeout_s: number('Maximum time to wait for the whole answer.', {
    ...{ min: 0.1, max: 600, standard: 30, unit: 's' },
  }),
})

export type Settings = z.output<typeof settings>
