import * as z from 'zod'
import { httpUrl } from '../platform/settings/kinds.ts'
import { httpSettings } from './http-settings.ts'

const regionMessage = 'must be the name of a region, such as eu-central-1'

/** The settings of every sink of AWS, beside its own. */
export const awsSettings = () => ({
  aws_region: z
    .string(regionMessage)
    .regex(/^[a-z]{2,}(-[a-z0-9]+)+$/, regionMessage)
    .meta({ description: 'Region of AWS.', range: 'for example `eu-central-1`' }),
  endpoint: httpUrl(
    'Address to use instead of the public one of the region, such as a VPC endpoint.',
  ).optional(),
  ...httpSettings({ timeout: 30 }),
})
