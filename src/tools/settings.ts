import * as z from 'zod'
import { httpUrl, tokenToSend } from '../platform/settings/kinds.ts'

/** The sidecar that tools talk to. The SDK reads the same variables. */
export const sidecarAddressSettings = z.object({
  SIDECAR_URL: httpUrl('Sidecar that tools and the SDK talk to.', { place: true }).default(
    'http://127.0.0.1:8000',
  ),
  SIDECAR_TOKEN: tokenToSend(
    'Token to send to the sidecar; created on its host with `wafermon token new`.',
  ),
})
