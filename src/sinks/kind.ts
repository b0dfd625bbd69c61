import type { Logger } from 'pino'
import type * as z from 'zod'
import type { BatchLimits, Sink } from '../core/delivery.ts'

/**
 * A kind of sink. Everything about it is in its folder and reaches the rest through this: settings,
 * their documentation, and limits are derived from it, so a new kind is a folder and a line in
 * index.ts.
 */
export type SinkKind<Settings extends z.ZodObject = z.ZodObject> = {
  /** Its name in entries. */
  type: string
  /** The destination, in a sentence for the documentation. */
  about: string
  /** The settings of an entry; each has a description. */
  settings: Settings
  limits: BatchLimits
  /** Its readers depend on the order of a job's events. */
  ordered: boolean
  /**
   * Opens nothing that `deliver` could not open again later: a destination may be away at the start.
   * What it loads is loaded here, so that a sidecar has the code of its own sinks alone.
   */
  open(settings: z.output<Settings>, context: SinkContext): Sink | Promise<Sink>
}

/** The context of a sink, beside its settings. */
export type SinkContext = {
  log: Logger
  /** What the sink last had recorded with an acknowledgment (core/delivery.ts, 10). */
  state?: string | undefined
}

/** Checks a kind against its own settings, and forgets their type: the list has kinds of all sorts. */
export const defineSink = <Settings extends z.ZodObject>(kind: SinkKind<Settings>): SinkKind => kind
