import { ConfigError } from '../../core/errors.ts'
import { type EventLimits, readEvent } from '../../core/read-event.ts'
import { DistinctTimes } from '../replay/distinct.ts'
import {
  type BadPiece,
  BadValue,
  type Format,
  type ImportContext,
  NoZone,
  type Skipped,
} from './format.ts'
import { BrokenFile, type Source } from './source.ts'
import { type Target, toEvent, type WireEvent } from './to-event.ts'

/** An event of a file, or why a piece of it gives none. */
export type Found = { line: number; event: WireEvent } | BadPiece | ({ line: number } & Skipped)

/** No clock is ahead of it: when a file is imported changes nothing. */
const endOfTime = '9999-12-31T23:59:59.999999Z'
/** As sidecars have them unless they are set. */
const limits: EventLimits = { maxEventBytes: 64 * 1024, maxSkewS: 600 }

/**
 * The events of a file in its order: the same for the same file, whenever it is read. An event that a sidecar would
 * refuse is a bad piece. A piece gives all of its events or none.
 *
 * @throws ConfigError when the file cannot be read, or has times without a zone where none is given
 */
export async function* readEvents(
  source: Source,
  format: Format,
  context: ImportContext,
  target: Target,
): AsyncGenerator<Found> {
  const observe = format.observe(context)
  const times = new DistinctTimes()
  let line = 0
  try {
    for await (const cut of format.cut(source, context)) {
      line = cut.line
      if ('why' in cut) yield cut
      else yield* convert(cut.line, () => observe(cut.value, cut.line), { target, times })
    }
  } catch (error) {
    if (error instanceof BrokenFile) yield { line: line + 1, why: error.message }
    else throw explainZone(error, source.file, line)
  }
}

type Conversion = { target: Target; times: DistinctTimes }

function convert(
  line: number,
  observe: () => ReturnType<ReturnType<Format['observe']>>,
  { target, times }: Conversion,
): Found[] {
  try {
    return [...observe()].map((one): Found => {
      if ('skipped' in one) return { line, skipped: one.skipped }
      const event = toEvent(one, target, times)
      check(event)
      return { line, event }
    })
  } catch (error) {
    if (error instanceof BadValue) return [{ line, why: error.message }]
    throw error
  }
}

function check(event: WireEvent): void {
  const read = readEvent(event, { receivedAt: endOfTime }, limits)
  if (!read.ok) throw new BadValue(`${read.field} ${read.detail}`.trim())
}

function explainZone(error: unknown, file: string, line: number): unknown {
  if (!(error instanceof NoZone)) return error
  const remedy = 'give its zone with --zone or SITE_ZONE, such as Europe/Berlin, or UTC'
  return new ConfigError(`${file}:${line}: ${error.message}; ${remedy}`)
}
