import type { BatchLimits, Sink, SinkTerms } from '../core/delivery.ts'
import { ConfigError } from '../core/errors.ts'
import { must } from '../core/must.ts'
import { awsCloudwatch } from './aws-cloudwatch/index.ts'
import { awsXray } from './aws-xray/index.ts'
import { csv } from './csv/index.ts'
import { elk } from './elk/index.ts'
import { type SinkEntry, toProblems } from './entry.ts'
import { hideSecrets } from './hide-secrets.ts'
import { json } from './json/index.ts'
import type { SinkContext, SinkKind } from './kind.ts'
import { localApi } from './local-api/index.ts'
import { moduleSink } from './module/index.ts'
import { otlp } from './otlp/index.ts'
import { Pace } from './pace.ts'
import { webhook } from './webhook/index.ts'
import { zabbix } from './zabbix/index.ts'

/** Every kind of sink. */
export const sinkKinds: readonly SinkKind[] = [
  localApi,
  csv,
  json,
  webhook,
  elk,
  zabbix,
  otlp,
  awsCloudwatch,
  awsXray,
  moduleSink,
]

/** A sink with what its drain and its spool need to know. */
export type OpenSink = Sink &
  SinkTerms & { readonly name: string; readonly type: string; readonly limits: BatchLimits }

/** What is wrong with the kind of an entry and its settings: entry, setting and remedy. */
export function findProblems(
  { type, name, config }: Pick<SinkEntry, 'type' | 'name' | 'config'>,
  kinds: readonly SinkKind[] = sinkKinds,
): string[] {
  const kind = kinds.find((known) => known.type === type)
  if (!kind) {
    const known = kinds.map((one) => one.type).join(', ')
    return [`sink ${name}: type: there is no ${type}; must be one of ${known}`]
  }
  const { error } = kind.settings.safeParse(config)
  return (error?.issues ?? []).flatMap(toProblems).map((text) => `sink ${name}: ${text}`)
}

/**
 * Opens the sink of an entry.
 *
 * @throws ConfigError when there is no such kind, or with every problem of the settings: entry,
 * setting and remedy
 */
export async function openSink(
  entry: Pick<SinkEntry, 'type' | 'name' | 'config'> & Partial<SinkEntry>,
  context: SinkContext,
  kinds: readonly SinkKind[] = sinkKinds,
): Promise<OpenSink> {
  const problems = findProblems(entry, kinds)
  if (problems.length > 0) throw new ConfigError(problems.join('\n  '), problems)
  const { type, name, config, required = true, from = 'oldest', filter = {} } = entry
  const kind = must(
    kinds.find((known) => known.type === type),
    'an entry without problems has a kind',
  )
  const opened = await kind.open(kind.settings.parse(config), context)
  const sink = hideSecrets(opened, config, kind.settings)
  const pace = entry.rate_limit === undefined ? undefined : new Pace(entry.rate_limit)
  return {
    ...{ name, type, required, from, filter, ordered: kind.ordered },
    limits: { ...kind.limits, events: Math.min(kind.limits.events, entry.batch_size ?? Infinity) },
    async deliver(batch, signal) {
      await pace?.wait(batch.length, signal)
      if (signal.aborted) return { kind: 'failed', reason: 'stopping' }
      return sink.deliver(batch, signal)
    },
    ...(sink.report ? { report: sink.report } : {}),
    ...(sink.probe ? { probe: sink.probe } : {}),
    ...(sink.close ? { close: sink.close } : {}),
  }
}
