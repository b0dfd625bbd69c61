import * as z from 'zod'
import { joinSettings } from './group.ts'
import { hostNames, number, text } from './kinds.ts'
import { logSettings } from './log.ts'
import { tlsSettings } from './tls.ts'
import { tokenSettings } from './tokens.ts'
import { tracingSettings } from './tracing.ts'

const server = z.object({
  HOST: text('Address to listen on. Addresses beyond loopback need TOKENS_FILE.', {
    place: true,
  }).default('127.0.0.1'),
  ALLOWED_HOSTS: hostNames(
    'Names by which callers reach the role, besides addresses, names without a dot and the name of the machine; needed for a role that answers without a token.',
    { place: true },
  ),
  SHUTDOWN_TIMEOUT_S: number('Time to finish work in flight when stopping.', {
    ...{ min: 0.1, max: 600, standard: 10, unit: 's' },
  }),
})

/** Settings of every role, besides its port. */
export const sharedSettings = joinSettings(
  logSettings,
  tracingSettings,
  server,
  tokenSettings,
  tlsSettings,
)
export type SharedConfig = z.infer<typeof sharedSettings>
