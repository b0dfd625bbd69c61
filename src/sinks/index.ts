import type * as z from 'zod'
import type { BatchLimits, Sink } from '../core/delivery.ts'
import { ConfigError } from '../core/errors.ts'
import type { SinkContext, SinkKind } from './kind.ts'
import { localApi } from './local-api/index.ts'

/** Every kind of sink. */
export const sinkKinds: readonly SinkKind[] = [localApi]

/** A sink as an operator configures it. */
export type SinkEntry = {
  type: string
  /** Its name in the spool, in logs and in metrics. */
  name: string
  /** The settings of its kind. */
  config: Readonly<Record<string, unknown>>
}

/** A sink with what its drain needs to know. */
export type OpenSink = Sink & { readonly name: string; readonly limits: BatchLimits }

/**
 * Opens the sink of an entry.
 *
 * @throws ConfigError when there is no such kind, or with every problem of the settings: entry,
 * setting and remedy
 */
export function openSink(
  { type, name, config }: SinkEntry,
  context: SinkContext,
  kinds: readonly SinkKind[] = sinkKinds,
): OpenSink {
  const kind = kinds.find((known) => known.type === type)
  if (!kind) {
    const known = kinds.map((one) => one.type).join(', ')
    throw new ConfigError(`sink ${name}: type: there is no ${type}; must be one of ${known}`)
  }
  const read = kind.settings.safeParse(config)
  if (!read.success) {
    const problems = read.error.issues.flatMap(toProblems).map((text) => `sink ${name}: ${text}`)
    throw new ConfigError(problems.join('\n  '), problems)
  }
  const sink = kind.open(read.data, context)
  return {
    name,
    limits: kind.limits,
    deliver: (batch, signal) => sink.deliver(batch, signal),
    ...(sink.report ? { report: sink.report.bind(sink) } : {}),
  }
}

/** Without the value: it may be a secret. */
const toProblems = (issue: z.core.$ZodIssue): string[] =>
  issue.code === 'unrecognized_keys'
    ? issue.keys.map((key) => `${key}: no such setting; check the spelling`)
    : [`${issue.path.join('.')}: ${issue.message}`]
