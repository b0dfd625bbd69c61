import * as z from 'zod'
import { readable, rule } from './group.ts'
import { text } from './kinds.ts'

const remedy = 'give a PEM file that this user may read'

export const tlsSettings = z
  .object({
    TLS_CERT: text('PEM file of the certificate chain; enables TLS together with TLS_KEY.', {
      place: true,
    }).optional(),
    TLS_KEY: text('PEM file of the private key, without a passphrase.', {
      place: true,
    }).optional(),
    TLS_CA: text(
      'PEM file of certificate authorities; if set, callers must present a certificate (mTLS).',
      { place: true },
    ).optional(),
  })
  .check(
    rule(({ TLS_CERT, TLS_KEY }) =>
      (TLS_CERT === undefined) === (TLS_KEY === undefined)
        ? undefined
        : 'TLS_CERT, TLS_KEY: set both or neither',
    ),
    rule(({ TLS_CERT, TLS_CA }) =>
      TLS_CA !== undefined && TLS_CERT === undefined
        ? 'TLS_CA: needs TLS_CERT and TLS_KEY as well'
        : undefined,
    ),
    readable('TLS_CERT', remedy),
    readable('TLS_KEY', remedy),
    readable('TLS_CA', remedy),
  )
