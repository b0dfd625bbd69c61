import type { JobStatus } from '../../core/job.ts'
import type { Kind } from '../../core/kinds.ts'
import type { Micros } from '../../core/time.ts'
import type { BadPiece, Cut, Source } from './source.ts'

/*
 * The contract of a format of other systems: it cuts a file into pieces, and says what a piece reports.
 *
 *   - A file is read from its beginning to its end, once, and is never held whole.
 *   - What is reported follows from the file and the context alone, so that a second import gives the same
 *     events. What a format remembers of earlier pieces is bounded (`jobsRemembered`).
 *   - A piece that cannot be read costs that piece: `cut` yields why, `observe` throws a BadValue.
 */

export type Metadata = Record<string, unknown>

/** One thing that a file reports about a job. */
export type Observation = {
  /** Identifies the job in its system. A UUID is kept as the id; any other text becomes one. */
  job: string
  /** The job that it is part of: makes it a subjob. */
  parent?: string | undefined
  /** Without one the format's own name, which `--app` overrides as well. */
  app?: string | undefined
  version?: string | undefined
  /** What people call it: the business key of a job, the sub key of a subjob. */
  key: string
  /** Which try it is, from 1. */
  attempt?: number | undefined
  kind: Kind
  at: Micros
  status?: JobStatus | undefined
  startedAt?: Micros | undefined
  endedAt?: Micros | undefined
  metrics?: Record<string, number> | undefined
  metadata?: Metadata | undefined
  traceparent?: string | undefined
}

/** A piece that is understood and reports nothing, with the reason in a few words. */
export type Skipped = { skipped: string }

export type { BadPiece, Cut }

/** What the command line says. */
export type ImportContext = {
  /** The zone of times that have none. */
  zone?: string | undefined
  /** Columns by field. */
  map?: ReadonlyMap<string, string> | undefined
  delimiter?: string | undefined
}

export type FormatOption = 'map' | 'delimiter'

export type Format<T = unknown> = {
  /** Of the options that only some formats have, those of this one. */
  options?: readonly FormatOption[]
  /** The pieces of a file, in order. @throws ConfigError when it is not a file of this format */
  cut(source: Source, context: ImportContext): AsyncIterable<Cut<T>>
  /** A function that says what a piece reports; it is given each piece of one file in order. */
  observe(context: ImportContext): (value: T, line: number) => Iterable<Observation | Skipped>
}

/** A format among others, which do not know what its pieces are. */
export const defineFormat = <T>(format: Format<T>): Format => format as unknown as Format

/** Maximum jobs of a file of which something is remembered while it is read. */
export const jobsRemembered = 50_000

/** A piece that cannot be read, in words that name the field. */
export class BadValue extends Error {
  override readonly name = 'BadValue'
}

/** A time without a zone where none is given: all other times of the file will lack it too. */
export class NoZone extends Error {
  override readonly name = 'NoZone'
}
