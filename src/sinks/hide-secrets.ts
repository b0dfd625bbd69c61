import type * as z from 'zod'
import type { Delivery, Sink } from '../core/delivery.ts'
import { describeSetting } from '../platform/settings/describe.ts'
import { mask } from '../platform/settings/mask.ts'

/*
 * A destination may say anything, the password that it was sent too; and what a sink says goes to the log,
 * to health, to the API and into rejects.
 */

/** Shorter ones would hide half of every sentence, and are no secrets. */
const shortest = 4

/** A sink whose words have none of the secrets of its settings in them. */
export function hideSecrets(sink: Sink, config: unknown, settings: z.ZodObject): Sink {
  const hide = makeHider(config, settings)
  const { report, probe } = sink
  return {
    ...sink,
    async deliver(batch, signal) {
      try {
        return hideInDelivery(await sink.deliver(batch, signal), hide)
      } catch (error) {
        throw hideInError(error, hide)
      }
    },
    ...(report && {
      async report(said, signal) {
        const outcome = await report.call(sink, said, signal)
        return typeof outcome === 'string' ? outcome : { failed: hide(outcome.failed) }
      },
    }),
    ...(probe && {
      async probe(signal) {
        const problem = await probe.call(sink, signal)
        return problem === undefined ? undefined : hide(problem)
      },
    }),
    ...(sink.close && { close: sink.close.bind(sink) }),
  }
}

type Hide = (text: string) => string

/** Masks the secrets of an entry's settings, wherever in a text they are. */
function makeHider(config: unknown, settings: z.ZodObject): Hide {
  const given = Object(config) as Record<string, unknown>
  const names = Object.keys(settings.shape).filter((name) => describeSetting(settings, name).secret)
  const words = names.flatMap((name) => listTexts(given[name]))
  const secrets = [...new Set(words.flatMap(spellings))].sort((a, b) => b.length - a.length)
  return (text) => secrets.reduce((shown, secret) => shown.replaceAll(secret, mask), text)
}

/** As it is, and as it stands in an address or in JSON. */
const spellings = (secret: string) =>
  [secret, encodeURIComponent(secret), JSON.stringify(secret).slice(1, -1)].filter(
    ({ length }) => length >= shortest,
  )

function listTexts(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  return Object.values(value).flatMap(listTexts)
}

/** An answer that is not one stays as it is: whoever checks it says what is wrong with it. */
function hideInDelivery(answer: Delivery, hide: Hide): Delivery {
  const { kind } = Object(answer) as Partial<Delivery>
  if (kind === 'failed') {
    const { reason } = answer as { reason: unknown }
    return typeof reason === 'string' ? ({ ...answer, reason: hide(reason) } as Delivery) : answer
  }
  const { verdicts } = answer as { verdicts?: unknown }
  if (kind !== 'judged' || !Array.isArray(verdicts)) return answer
  return {
    ...answer,
    verdicts: Array.from(verdicts, (verdict) => hideInVerdict(verdict, hide)),
  } as Delivery
}

function hideInVerdict(verdict: unknown, hide: Hide): unknown {
  const { detail } = Object(verdict) as { detail?: unknown }
  return typeof detail === 'string' ? { ...(verdict as object), detail: hide(detail) } : verdict
}

function hideInError(error: unknown, hide: Hide): unknown {
  if (!(error instanceof Error)) return error
  error.message = hide(error.message)
  if (error.stack !== undefined) error.stack = hide(error.stack)
  return error
}
