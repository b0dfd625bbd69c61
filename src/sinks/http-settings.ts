import * as z from 'zod'
import { readable, rule } from '../platform/settings/group.ts'
import { flag, number, text } from '../platform/settings/kinds.ts'

const file = (description: string) => text(description, { file: true }).optional()

/** The settings of every sink that speaks HTTP, beside its address. */
export const httpSettings = ({ timeout }: { timeout: number }) => ({
  timeout: number('Maximum time to wait for the whole answer.', {
    ...{ min: 0.1, max: 600, standard: timeout, unit: 's' },
  }),
  verify_ssl: flag('Check the certificate of the destination.', true),
  ca: file('PEM file of the authorities to trust instead of the public ones.'),
  cert: file('PEM file of the certificate to show, with `key`.'),
  key: file('PEM file of the private key of `cert`, without a passphrase.'),
})

const transport = /^(host|content-length|transfer-encoding|connection|accept-encoding)$/i

/**
 * Headers to send besides.
 *
 * @param ours those that the sink sets besides the ones of HTTP, in words and as a pattern
 */
export function httpHeaders(ours: string, isOurs: RegExp) {
  const message = `must be an object of texts: names of HTTP headers, none of those that are set by us (${ours}, host, content-length, transfer-encoding, connection), and values of printable characters`
  const fits = ([name, value]: [string, string]) =>
    /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(name) &&
    !transport.test(name) &&
    !isOurs.test(name) &&
    /^[\t -~\x80-\xff]*$/.test(value)
  return z
    .record(z.string(), z.string(message), message)
    .refine((given) => Object.entries(given).every(fits), message)
    .default({})
    .meta({ description: 'Headers to send besides.', secret: true })
}

export type HttpSettings = {
  timeout: number
  verify_ssl: boolean
  ca?: string | undefined
  cert?: string | undefined
  key?: string | undefined
}

const remedy = 'give a PEM file that this user may read'

export const httpRules = [
  readable('ca', remedy),
  readable('cert', remedy),
  readable('key', remedy),
  rule<Partial<HttpSettings>>(({ cert, key }) =>
    (cert === undefined) === (key === undefined) ? undefined : 'cert, key: set both or neither',
  ),
] as const
