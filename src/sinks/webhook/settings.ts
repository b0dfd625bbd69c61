import * as z from 'zod'
import { withWarning } from '../../platform/settings/group.ts'
import { choice, flag } from '../../platform/settings/kinds.ts'
import { httpHeaders, httpRules, httpSettings } from '../http-settings.ts'

const urlMessage = 'must be a URL such as https://host/path, without user or fragment'

const secretMessage =
  'must be whsec_ and 24 to 64 bytes in base64, as a receiver of Standard Webhooks gives it, or a list of up to 8'

/** The key of a secret; undefined when it is not one. */
function readSecret(text: string): Buffer | undefined {
  const base64 = text.trim().replace(/^whsec_/, '')
  const key = Buffer.from(base64, 'base64')
  const isBase64 = key.toString('base64').replace(/=+$/, '') === base64.replace(/=+$/, '')
  return isBase64 && key.length >= 24 && key.length <= 64 ? key : undefined
}

const secret = z
  .union(
    [z.string(), z.array(z.string()).min(1, secretMessage).max(8, secretMessage)],
    secretMessage,
  )
  .transform((given, ctx) => {
    const keys = (typeof given === 'string' ? [given] : given).flatMap(
      (one) => readSecret(one) ?? [],
    )
    const whole = keys.length === (typeof given === 'string' ? 1 : given.length)
    if (!whole) ctx.issues.push({ code: 'custom', message: secretMessage, input: given })
    return keys
  })
  .meta({
    description:
      'Secrets to sign with, by Standard Webhooks; several while one is being replaced. Unless set, nothing is signed.',
    range: '`whsec_` and base64; one, or a list',
    secret: true,
  })

const rejectMessage = 'must be a list of HTTP statuses from 400 to 499'

const schema = z
  .strictObject({
    webhook_url: z
      .string(urlMessage)
      .refine(isTarget, urlMessage)
      .meta({ description: 'Where events are sent.', range: 'http:// or https://', secret: true }),
    method: choice('Method of the request.', ['post', 'put', 'patch'], 'post'),
    headers: httpHeaders('webhook-*', /^webhook-/i),
    batch: flag('Send `{"events": [...], "count": n}` instead of one event per request.', false),
    secret: secret.optional(),
    reject_on: z
      .array(z.int(rejectMessage).min(400, rejectMessage).max(499, rejectMessage), rejectMessage)
      .default([400, 409, 410, 413, 422])
      .meta({
        description: 'Statuses by which the receiver refuses a single event permanently.',
        range: '400 to 499',
      }),
    ...httpSettings({ timeout: 5 }),
  })
  .check(...httpRules)

function isTarget(text: string): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, username, password, hash } = new URL(text)
  return /^https?:$/.test(protocol) && username + password + hash === ''
}

export const settings = withWarning(schema, ({ verify_ssl }) =>
  verify_ssl === false ? 'verify_ssl: the certificate of the receiver is not checked' : undefined,
)

export type Settings = z.output<typeof settings>
