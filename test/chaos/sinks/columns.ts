import { testKeys } from '../../sinks/aws-checks.ts'
import { needsProtos } from '../../support/sid.ts'
import { readCloudWatch } from './cloudwatch-reader.ts'
import type { Column } from './column.ts'
import { fileColumn } from './file-column.ts'
import { moduleColumn } from './module-column.ts'
import { peerColumn } from './peer-column.ts'
import type { Sent } from './seen.ts'
import { readZabbix } from './zabbix-reader.ts'

/** Deadline of a sink, in seconds: what stands for minutes without an answer. */
const timeout = 2

const secret = `whsec_${Buffer.from('the secret of the chaos suite...').toString('base64')}`

const webhook = (name: string, batch: boolean) =>
  peerColumn({
    ...{ name, type: 'webhook', ordered: true, peer: 'webhook.ts' },
    options: { secret, batch },
    config: (url) => ({ webhook_url: url, secret, batch, timeout }),
    // An answer has no words for one of many events.
    without: ['half'],
  })

/** Spans and segments are made of the ends of jobs alone. */
const isEnd = ({ event }: Sent) => event.kind === 'finished'

const aws = (name: 'aws_cloudwatch' | 'aws_xray') => ({
  ...{ name, type: name, ordered: false, peer: `${name.replace('_', '-')}.ts` },
  config: (url: string) => ({ aws_region: 'eu-central-1', endpoint: url, timeout }),
  env: testKeys,
})

/** Every sink of the matrix: the first is the one that misses nothing, the others are mirrors. */
export const columns: readonly Column[] = [
  peerColumn({
    ...{ name: 'local_api', type: 'local_api', ordered: false, peer: 'local-api.ts' },
    config: (url) => ({ base_url: url, timeout }),
  }),
  fileColumn('csv', { rotation: 'hourly', max_bytes: 300_000, compression: true }),
  fileColumn('json', { rotation: 'hourly', max_bytes: 400_000 }),
  webhook('webhook', false),
  webhook('webhook, batch', true),
  peerColumn({
    ...{ name: 'elk', type: 'elk', ordered: false, peer: 'elk.ts' },
    config: (url) => ({ elasticsearch_url: url, timeout }),
  }),
  peerColumn({
    ...{ name: 'zabbix', type: 'zabbix', ordered: true, peer: 'zabbix.ts' },
    config: (url) => ({ zabbix_server: new URL(url).host, host: 'wafermon', timeout }),
    // The trapper protocol has no words for these.
    without: ['429', '413'],
    toReader: readZabbix('sinks'),
  }),
  peerColumn({
    ...{ name: 'otlp', type: 'otlp', ordered: false, peer: 'otlp.ts', shows: isEnd },
    config: (url) => ({ endpoint: url, timeout }),
    // One reject speaks for all that a partial success left out.
    standsFor(detail) {
      const [, count] = /^the receiver rejected (\d+) of the \d+ spans/.exec(detail) ?? []
      return count === undefined ? undefined : Number(count)
    },
    ...(needsProtos.skip === false ? {} : { missing: String(needsProtos.skip) }),
  }),
  peerColumn({ ...aws('aws_cloudwatch'), toReader: readCloudWatch }),
  peerColumn({ ...aws('aws_xray'), shows: isEnd }),
  moduleColumn,
]
