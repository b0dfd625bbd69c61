import * as z from 'zod'
import { rule, withWarning } from '../../platform/settings/group.ts'
import { httpUrl, text, wholeNumber } from '../../platform/settings/kinds.ts'
import { httpRules, httpSettings } from '../http-settings.ts'

const prefixMessage =
  'must be 1 to 100 characters of a-z, 0-9, - _ and ., beginning with a letter or a digit: it begins the names of indices'

const schema = z
  .strictObject({
    elasticsearch_url: httpUrl('Address of Elasticsearch or OpenSearch.'),
    index_prefix: z
      .string(prefixMessage)
      .regex(/^[a-z0-9][a-z0-9._-]{0,99}$/, prefixMessage)
      .default('wafer-monitor')
      .meta({
        description:
          'Start of the names of indices: `PREFIX-YYYY.MM.DD`, by the time of the event in UTC.',
        range: 'lower case',
      }),
    username: text('User, with `password`.').optional(),
    password: text('Password of that user.', { secret: true }).optional(),
    api_key: text('API key, encoded as Elasticsearch shows it; instead of a user.', {
      secret: true,
    }).optional(),
    retention_days: wholeNumber(
      'Age at which the policy that is installed deletes an index; 0 installs none.',
      { min: 0, max: 36_500, standard: 90, unit: 'days' },
    ),
    ...httpSettings({ timeout: 30 }),
  })
  .check(
    ...httpRules,
    rule<Partial<Record<'username' | 'password' | 'api_key', string | undefined>>>(
      ({ username, password, api_key }) => {
        if ((username === undefined) !== (password === undefined)) {
          return 'username, password: set both or neither'
        }
        return username !== undefined && api_key !== undefined
          ? 'username, api_key: set one of them'
          : undefined
      },
    ),
  )

export const settings = withWarning(schema, ({ verify_ssl }) =>
  verify_ssl === false ? 'verify_ssl: the certificate of the server is not checked' : undefined,
)

export type Settings = z.output<typeof settings>
