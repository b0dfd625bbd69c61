import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Context } from './frame/bench.ts'
import { folder } from './frame/context.ts'

/** An entry of INTEGRATIONS_CONFIG. */
export type Entry = { name: string; type: string; config: Record<string, unknown> }

const secret = `whsec_${Buffer.from('the secret of a bench, 32 bytes.').toString('base64')}`

/** A sink of every kind, and of webhooks both forms, all of which work. @param url of the receiver */
export function everySink(context: Context, url: string): Entry[] {
  const webhook = (batch: boolean) => ({ webhook_url: `${url}/hook`, secret, batch })
  return [
    { name: 'local_api', type: 'local_api', config: { base_url: url } },
    { name: 'csv', type: 'csv', config: { output_dir: join(folder(context), 'csv') } },
    { name: 'json', type: 'json', config: { output_dir: join(folder(context), 'json') } },
    { name: 'webhook', type: 'webhook', config: webhook(false) },
    { name: 'webhook, batch', type: 'webhook', config: webhook(true) },
    { name: 'elk', type: 'elk', config: { elasticsearch_url: url } },
    { name: 'module', type: 'module', config: { path: writeModule(context) } },
  ]
}

/**
 * Those that are not events as they are: numbers of Zabbix, spans, metrics and segments.
 *
 * @param url of the receiver
 * @param trapper host and port
 */
export const sinksOfOtherForms = (url: string, trapper: string): Entry[] => [
  { name: 'zabbix', type: 'zabbix', config: { zabbix_server: trapper, host: 'wafermon' } },
  { name: 'otlp', type: 'otlp', config: { endpoint: url } },
  { name: 'aws_cloudwatch', type: 'aws_cloudwatch', config: { ...region, endpoint: url } },
  { name: 'aws_xray', type: 'aws_xray', config: { ...region, endpoint: url } },
]

const region = { aws_region: 'eu-central-1' }

/** What the clients of AWS sign with. */
export const benchKeys = {
  AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE',
  AWS_SECRET_ACCESS_KEY: 'example',
  AWS_EC2_METADATA_DISABLED: 'true',
}

/** A destination that is not there. */
export const deadSink: Entry = {
  ...{ name: 'dead', type: 'webhook' },
  config: { webhook_url: 'http://127.0.0.1:9/hook' },
}

/** One that takes a connection and never answers. */
export const hangingSink = (url: string): Entry => ({
  ...{ name: 'hanging', type: 'elk' },
  config: { elasticsearch_url: `${url}/slow`, timeout: 600 },
})

function writeModule(context: Context): string {
  const path = join(folder(context), 'module.mjs')
  writeFileSync(
    path,
    `export const open = () => ({
  deliver: (batch) => ({ kind: 'judged', verdicts: batch.map(() => 'taken') }),
})
`,
  )
  return path
}
