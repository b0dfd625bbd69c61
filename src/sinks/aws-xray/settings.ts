import * as z from 'zod'
import { withWarning } from '../../platform/settings/group.ts'
import { awsSettings } from '../aws-settings.ts'
import { httpRules } from '../http-settings.ts'

const nameMessage =
  'must be 1 to 200 letters, digits, spaces and _ . : / % & # = + - @, beginning with a letter or a digit'

const schema = z
  .strictObject({
    ...awsSettings(),
    service_name: z
      .string(nameMessage)
      .regex(/^[\p{L}\p{N}][\p{L}\p{N} _.:/%&#=+\-@]{0,199}$/u, nameMessage)
      .meta({ description: 'Name of all segments; unless set, each has the name of its app.' })
      .optional(),
  })
  .check(...httpRules)

export const settings = withWarning(schema, ({ verify_ssl }) =>
  verify_ssl === false ? 'verify_ssl: the certificate of the endpoint is not checked' : undefined,
)

export type Settings = z.output<typeof settings>
