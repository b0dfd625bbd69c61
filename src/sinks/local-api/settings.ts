import * as z from 'zod'
import { httpUrl, tokenToSend } from '../../platform/settings/kinds.ts'
import { httpRules, httpSettings } from '../http-settings.ts'

export const settings = z
  .strictObject({
    base_url: httpUrl('Address of the local API.'),
    token: tokenToSend(
      'Token to send; created on the host of the local API with `wafermon token new --scope forward`.',
    ),
    ...httpSettings({ timeout: 30 }),
  })
  .check(...httpRules)

export type Settings = z.output<typeof settings>
