import type { Completeness, Gap } from './job.ts'
import { choice, list, makeTable, number, orElse, orNull, text, time, whole } from './wire-table.ts'

const gapTable = makeTable<Gap>('a gap', {
  source: text('The spool.'),
  from: whole('First missing number.'),
  to: whole('Last missing number.'),
})

export const gapsField = orElse(
  list(gapTable, 'Events that a spool numbered and the store has not received.'),
  [],
)

export const completenessTable = makeTable<Completeness>('a completeness', {
  asOf: time('When the store was asked.'),
  sources: whole('Number of spools known to the store.'),
  gaps: gapsField,
  oldestSourceAgeS: orNull(number('Seconds since the most silent spool last delivered.')),
  skewedSources: orElse(list(text(), 'Spools whose senders have wrong clocks.'), []),
  hotFrom: orNull(time('Start of the hot store; older rows are in the archive.')),
  archive: choice(
    ['used', 'available', 'off'],
    'State of the archive: used for this answer, available, or off.',
  ),
})
