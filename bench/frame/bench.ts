/*
 * A bench. It measures sides one after the other, again and again, and says which figure is
 * held against which. The frame does the rest: turns, medians, ratios, the record.
 */

/** Measures once, for about this many seconds. @returns the figure, in the side's unit */
export type Turn = (seconds: number) => Promise<number | Measured>

/** A figure, and what was measured beside it: `also.CPU` becomes the side `NAME, CPU`. */
export type Measured = { figure: number; also: Record<string, number> }

export type Claim = {
  /** The side that is judged. */
  side: string
  /** The divisor; without it the figure itself is judged. */
  against?: string
  /** Of a side that was measured beside another one; the bench's own unless given. */
  unit?: string
  atLeast?: number
  atMost?: number
}

export type Started = {
  /** In the order in which they take turns. */
  sides: Record<string, Turn>
  claims: Claim[]
  /** More that a reader of the figures has to know. */
  facts?: () => Record<string, string | number>
}

export type Bench = {
  name: string
  /** The work, and what it is compared with, in a sentence. */
  about: string
  unit: string
  start(context: Context): Promise<Started>
}

export type Options = {
  seconds: number
  turns: number
  /** A server to make databases on; an embedded one unless set. */
  database?: string
  /** Concurrent requests of `ingest`, measured with each number; `drain` takes the greatest. */
  connections: number[]
  /** Events that wait in the spool before `drain`. */
  backlog: number
  /** Numbers of jobs for `query`. */
  jobs: number[]
  /** Events of the day of `archive`. */
  day: number
  /** Numbers of jobs of a week, all of a table, for `query`. */
  week: number[]
}

export type Context = {
  options: Options
  /** Runs when the bench is over, last given first; as `after` of a test, so that its helpers fit. */
  after(end: () => unknown): void
  /** A migrated database of its own, with full durability. */
  database(): Promise<{ url: string; server: string }>
  log(text: string): void
}
