import * as z from 'zod'
import { withWarning } from '../../platform/settings/group.ts'
import { awsSettings } from '../aws-settings.ts'
import { httpRules } from '../http-settings.ts'

const groupMessage = 'must be 1 to 512 characters of a-z, A-Z, 0-9 and . - _ / #'
const namespaceMessage =
  'must be 1 to 255 characters of a-z, A-Z, 0-9 and . - _ / # :, not beginning with AWS/'
const wordMessage = 'must be 1 to 255 printable ASCII characters'

const word = (description: string) =>
  z
    .string(wordMessage)
    .regex(/^(?=.*[!-~])[ -~]{1,255}$/, wordMessage)
    .meta({ description })
    .optional()

const schema = z
  .strictObject({
    ...awsSettings(),
    log_group_name: z
      .string(groupMessage)
      .regex(/^[.\-_/#A-Za-z0-9]{1,512}$/, groupMessage)
      .default('/wafer-monitor')
      .meta({ description: 'Log group; made when it is missing.' }),
    namespace: z
      .string(namespaceMessage)
      .regex(/^(?!AWS\/)[.\-_/#:A-Za-z0-9]{1,255}$/, namespaceMessage)
      .default('WaferMonitor')
      .meta({ description: 'Namespace of the metrics.' }),
    compute_platform: word(
      'What the programs run on, such as `ecs`: a dimension of the metrics, if set.',
    ),
    instance_id: word(
      'The machine: a dimension of the metrics, if set, and the name of the log stream; unless set, the stream has the name of the host.',
    ),
  })
  .check(...httpRules)

export const settings = withWarning(schema, ({ verify_ssl }) =>
  verify_ssl === false ? 'verify_ssl: the certificate of the endpoint is not checked' : undefined,
)

export type Settings = z.output<typeof settings>
