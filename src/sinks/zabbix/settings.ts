import * as z from 'zod'
import { withWarning } from '../../platform/settings/group.ts'
import { number, text, wholeNumber } from '../../platform/settings/kinds.ts'
import { keyMessage, readKeyTemplate } from './key.ts'

const serverMessage =
  'must be a host, or host:port such as zabbix:10051 (IPv6: [::1]:10051); http:// in front and a path are ignored'

/** The trapper port of a server or proxy. */
export type Address = { host: string; port: number }

const trapperPort = 10_051

/** @returns undefined for what is not an address */
function readAddress(given: string): Address | undefined {
  const match = /^(?:https?:\/\/[^/?#]*(?=\/|$)|[^/?#]*)/i
    .exec(given.trim())?.[0]
    .replace(/^https?:\/\//i, '')
  const parts = /^(?:\[([\da-f:.%]+)\]|([\w-]+(?:\.[\w-]+)*\.?))(?::(\d{1,5}))?$/i.exec(match ?? '')
  const isWhole = /^https?:\/\//i.test(given.trim()) || match === given.trim()
  if (!parts || !isWhole) return undefined
  const port = parts[3] === undefined ? trapperPort : Number(parts[3])
  if (port < 1 || port > 65_535) return undefined
  return { host: parts[1] ?? parts[2] ?? '', port }
}

const hostMessage =
  'must be the technical name of a host in Zabbix: 1 to 128 of letters, digits, spaces, dots, hyphens and underscores'

const schema = z.strictObject({
  zabbix_server: z
    .string(serverMessage)
    .transform((given, ctx) => {
      const address = readAddress(given)
      if (!address) ctx.issues.push({ code: 'custom', message: serverMessage, input: given })
      return address ?? { host: '', port: 0 }
    })
    .meta({
      description: 'Server or proxy, and its trapper port unless that is 10051.',
      range: 'host or host:port',
    }),
  host: z
    .string(hostMessage)
    .regex(/^[\w. -]{1,128}$/, hostMessage)
    .meta({ description: 'The host in Zabbix that has the items.', range: 'its technical name' }),
  key: z
    .string(keyMessage)
    .refine((given) => readKeyTemplate(given) !== undefined, keyMessage)
    .default('wafer.{entity_type}.{kind}[{app}]')
    .meta({
      description:
        'Key of the item of a value. `{entity_type}`, `{kind}` and `{status}` stand anywhere in it, `{app}` and `{site}` between the brackets.',
      range: 'a key of Zabbix',
    }),
  history_days: wholeNumber(
    'How long the items keep history. Zabbix drops older values without a word, so they become rejects.',
    { min: 1, max: 9125, standard: 90, unit: 'days' },
  ),
  unknown_key_wait_s: number(
    'How long a value is offered again whose key Zabbix does not know (yet); then it becomes a reject.',
    { min: 0, max: 86_400, standard: 120, unit: 's' },
  ),
  timeout: number('Maximum time for a connection, its packet and the whole answer.', {
    ...{ min: 0.1, max: 600, standard: 10, unit: 's' },
  }),
  auth_token: text('Of the earlier system; it is not used: the trapper port asks for none.', {
    secret: true,
  }).optional(),
})

export const settings = withWarning(schema, ({ auth_token }) =>
  auth_token === undefined
    ? undefined
    : 'auth_token: is not used, because values go to the trapper port; remove it, and limit who may send by `Allowed hosts` of the items',
)

export type Settings = z.output<typeof settings>
