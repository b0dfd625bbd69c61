import type { Completeness, Gap, Source } from './job.ts'
import {
  listOf,
  makeTable,
  number,
  oneOf,
  optional,
  orElse,
  orNull,
  text,
  time,
  whole,
} from './wire-table.ts'

const gapTable = makeTable<Gap>('a gap', {
  source: text('The spool.'),
  from: whole('First missing number.'),
  to: whole('Last missing number.'),
})

const gaps = orElse(
  listOf(gapTable, 'Events that a spool numbered and the store has not received.'),
  [],
)

/** One spool, as `GET /v1/sources` shows it. */
export const sourceTable = makeTable<Source>('a source', {
  id: text('The spool.'),
  epoch: text('Identifies one creation of the spool; a new spool has a new epoch.'),
  lastSeq: whole('Number of its latest event.'),
  received: whole('Number of its events that the store has received.'),
  gaps,
  lastSeenAt: time('Time of its last delivery.'),
  lastAt: time('Time of its latest event.'),
  lagS: number('Delay between spool and store in its last delivery, in seconds.'),
  clockOffsetS: number(
    "Offset of its senders' clocks, in seconds: ahead is positive, behind is negative.",
  ),
  site: optional(text('Central, when asked without `site`: the site that was asked.')),
})

export const completenessTable = makeTable<Completeness>('a completeness', {
  asOf: time('When the store was asked.'),
  sources: whole('Number of spools known to the store.'),
  gaps,
  oldestSourceAgeS: orNull(
    number('Seconds since the last delivery of the spool that has been silent longest.'),
  ),
  skewedSources: orElse(listOf(text(), 'Spools whose senders have wrong clocks.'), []),
  hotFrom: orNull(time('Start of the hot store; older rows are in the archive.')),
  archive: oneOf(
    ['used', 'available', 'off'],
    'State of the archive: used for this answer, available, or off.',
  ),
})
