import { gapsField } from '../completeness-wire.ts'
import type { Gap } from '../job.ts'
import type { Micros } from '../time.ts'
import { makeTable, number, optional, orElse, text, time, whole } from '../wire-table.ts'
import type { Question } from './question.ts'

/** One sidecar's spool as the store sees it. */
export type Source = {
  id: string
  /** Over several sites: the site that was asked. */
  site?: string | undefined
  epoch: string
  lastSeq: number
  received: number
  /** Numbers that came with more than one event; any of them may hide a gap. */
  reused: number
  gaps: Gap[]
  lastSeenAt: Micros
  lastAt: Micros
  /** Seconds from an event's `received_at` at the sidecar to its commit here, of the last batch. */
  lagS: number
  /** Seconds by which the senders' clocks ran ahead (+) or behind (-) in the last batch. */
  clockOffsetS: number
}

/** The spools that ever delivered, by id. */
export const sourcesQuestion: Question<object, Source> = {
  name: 'sources',
  path: '/v1/sources',
  toQuery: () => new URLSearchParams(),
  table: makeTable<Source>('a source', {
    id: text('The spool.'),
    epoch: text('Identifies the creation of this spool; another epoch is another spool.'),
    lastSeq: whole('Number of its latest event.'),
    received: whole('Number of its events that arrived.'),
    reused: orElse(
      whole(
        'Number of its numbers that came with more than one event: its folder went back in time.',
      ),
      0,
    ),
    gaps: gapsField,
    lastSeenAt: time('When it last delivered.'),
    lastAt: time('Time of its latest event.'),
    lagS: number('Seconds from the spool to the store, in its last delivery.'),
    clockOffsetS: number(
      "Offset of its senders' clocks, in seconds: ahead is positive, behind is negative.",
    ),
    site: optional(text('Central, when asked without `site`: the site that was asked.')),
  }),
  merge: (answers) =>
    answers.flatMap(({ site, items }) => items.map((source) => ({ ...source, site }))),
}
