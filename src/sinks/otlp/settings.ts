import * as z from 'zod'
import { withWarning } from '../../platform/settings/group.ts'
import { httpUrl } from '../../platform/settings/kinds.ts'
import { httpHeaders, httpRules, httpSettings } from '../http-settings.ts'

const schema = z
  .strictObject({
    endpoint: httpUrl(
      'Address of the receiver, usually with port 4318; `/v1/traces` is added unless it ends so.',
    ),
    headers: httpHeaders('content-type, content-encoding', /^content-(type|encoding)$/i),
    ...httpSettings({ timeout: 10 }),
  })
  .check(...httpRules)

const certificate = withWarning(schema, ({ verify_ssl }) =>
  verify_ssl === false ? 'verify_ssl: the certificate of the receiver is not checked' : undefined,
)

export const settings = withWarning(certificate, ({ endpoint }) =>
  endpoint !== undefined && new URL(endpoint).port === '4317'
    ? 'endpoint: port 4317 is usually gRPC; OTLP over HTTP has port 4318'
    : undefined,
)

export type Settings = z.output<typeof settings>
