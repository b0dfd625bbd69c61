import { gapsField } from '../completeness-wire.ts'
import type { Gap } from '../job.ts'
import { type SourceState, sourceStates } from '../source-state.ts'
import type { Micros } from '../time.ts'
import {
  choice,
  type Field,
  flag,
  list,
  makeTable,
  number,
  optional,
  orElse,
  orNull,
  text,
  time,
  whole,
} from '../wire-table.ts'
import type { Question } from './question.ts'

/** One opening of a sidecar's spool as the store sees it, with what the sidecar last said of itself. */
export type Source = {
  id: string
  /** Over several sites: the site that was asked. */
  site?: string | undefined
  epoch: string
  state: SourceState
  /** The site of its events, as it says. */
  siteId: string | null
  lastSeq: number
  received: number
  /** Numbers that were given and did not arrive; without those that were accepted as lost. */
  missing: number
  /** Numbers that a person accepted as lost, and that have not arrived since. */
  accepted: number
  /** Numbers that came with more than one event; any of them may hide a gap. */
  reused: number
  /** The first hundred. */
  gaps: Gap[]
  /** Null when it never delivered. */
  lastSeenAt: Micros | null
  lastAt: Micros | null
  /** Its last heartbeat; null when it never sent one. All that follows is as of then. */
  heardAt: Micros | null
  /** Events in its spool. */
  waiting: number | null
  /** Age of the oldest of them, in seconds. */
  lagS: number | null
  rejects: number | null
  spoolBytes: number | null
  spoolMaxBytes: number | null
  /** Why it accepts no events. */
  trouble: string | null
  sinks: SinkState[]
  host: string | null
  version: string | null
  /** Seconds by which the clock that is furthest off runs ahead (+) or behind (-). */
  clockOffsetS: number
  /** The app whose clock that is; null when it is the sidecar's own. */
  clockOf: string | null
}

/** A sink of a sidecar; what is null is not said by one of an earlier version. */
export type SinkState = {
  name: string
  lagEvents: number
  lagS: number
  state: string
  /** `ok`, `failing`, `stopped`, `detached` or `disabled`. */
  status: string | null
  required: boolean | null
  rejects: number | null
  /** Events that it does without, and the last gap among them; null without one. */
  skipped: number | null
  gapEvents: number | null
  gapAt: Micros | null
  gapReason: string | null
}

export type SourceFilter = {
  /** Exactly these. Unless given: all but retired and replaced ones that show no loss. */
  states?: readonly SourceState[] | undefined
  /** Only those that need a look: silent, late, with a loss, a wrong clock or a spool in trouble. */
  trouble?: boolean | undefined
  limit?: number | undefined
}

/** Null where the sidecar is of a version that does not say it. */
const ofNewer = orNull

const sinkTable = makeTable<SinkState>('a sink', {
  name: text('Its name.'),
  lagEvents: whole('Events that it has not taken.'),
  lagS: number('Age of the oldest of them, in seconds.'),
  state: text('`ok`, `failing` or `stalled`.'),
  status: ofNewer(
    text(
      '`ok`, `failing`, `stopped` (an operator has to act, or has paused it), `detached` or `disabled` (its events are kept).',
    ),
  ),
  required: ofNewer(flag('What it is owed may close the door to programs.')),
  rejects: ofNewer(whole('Events that it refused, and that are set aside.')),
  skipped: ofNewer(whole('Events that it does without.')),
  gapEvents: orNull(whole('Events of its last gap; null without one.')),
  gapAt: orNull(time('When these were skipped.')),
  gapReason: orNull(text('Why.')),
})

const sinksField: Field<SinkState[]> = {
  ...orElse(list(sinkTable, 'The sinks of the sidecar, as of its last heartbeat.'), []),
  write: (sinks) => sinks.map(sinkTable.toWire),
}

const reported = (description: string) =>
  orNull(whole(`${description} As of its last heartbeat; null without one.`))

/** The spools that deliver or report, by id and epoch. */
export const sourcesQuestion: Question<SourceFilter, Source> = {
  name: 'sources',
  path: '/v1/sources',
  toQuery: ({ states, trouble, limit }) =>
    new URLSearchParams({
      ...(states ? { state: states.join(',') } : {}),
      ...(trouble ? { trouble: 'true' } : {}),
      ...(limit === undefined ? {} : { limit: String(limit) }),
    }),
  table: makeTable<Source>('a source', {
    id: text('The spool.'),
    epoch: text('Identifies the creation of this spool; another epoch is another spool.'),
    state: orElse(
      choice(
        sourceStates,
        'reporting: it sent a heartbeat within 30 s; silent: it sends none any more; unknown: it delivers and sends none; gone: it was stopped with an empty spool; retired; replaced: by a later opening of the same spool.',
      ),
      'unknown',
    ),
    siteId: orNull(text('The site of its events, as it says.')),
    lastSeq: whole('Number of its latest event.'),
    received: whole('Number of its events that arrived.'),
    missing: orElse(
      whole('Number of its events that are missing; accepted losses not counted.'),
      0,
    ),
    accepted: orElse(whole('Number of its events that were accepted as lost.'), 0),
    reused: orElse(
      whole(
        'Number of its numbers that came with more than one event: its folder went back in time.',
      ),
      0,
    ),
    gaps: gapsField,
    lastSeenAt: orNull(time('When it last delivered; null when it never did.')),
    lastAt: orNull(time('Time of its latest event.')),
    heardAt: orNull(time('When its last heartbeat came; null when it never sent one.')),
    waiting: reported('Events in its spool.'),
    lagS: orNull(
      number(
        'Age of the oldest event in its spool, in seconds, as of its last heartbeat; null without one.',
      ),
    ),
    rejects: reported('Events that a sink refused.'),
    spoolBytes: reported('Size of its spool, in bytes.'),
    spoolMaxBytes: reported('The cap of its spool, in bytes.'),
    trouble: orNull(text('Why its spool accepts no events, as of its last heartbeat.')),
    sinks: sinksField,
    host: orNull(text('Name of its machine.')),
    version: orNull(text('Version of the sidecar.')),
    clockOffsetS: number(
      'How far the clock that is furthest off runs ahead (positive) or behind (negative), in seconds; 0 while none is known to be off.',
    ),
    clockOf: orNull(text("The app whose clock that is; null when it is the sidecar's own.")),
    site: optional(text('Central, when asked without `site`: the site that was asked.')),
  }),
  order: [{ by: 'id' }, { by: 'epoch' }],
  limitOf: ({ limit }) => limit,
  merge: (answers) =>
    answers.flatMap(({ site, items }) => items.map((source) => ({ ...source, site }))),
}
