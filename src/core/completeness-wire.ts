import { type ArchiveGap, archiveUses, type Completeness, type Gap } from './job.ts'
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

const archiveGapTable = makeTable<ArchiveGap>('a gap of the archive', {
  from: time('Start of the range (inclusive).'),
  to: time('End of the range (exclusive).'),
  why: text('Why, and what to do.'),
})

export const completenessTable = makeTable<Completeness>('a completeness', {
  asOf: time('When the store was asked.'),
  sources: whole('Number of spools known to the store, without retired ones.'),
  sourcesReporting: orElse(whole('Of them: sent a heartbeat within the last 30 s.'), 0),
  sourcesSilent: orElse(
    whole('Of them: sent heartbeats, and none for 30 s; how many events wait there is not known.'),
    0,
  ),
  sourcesGone: orElse(whole('Of them: were stopped with an empty spool.'), 0),
  silentSources: orElse(list(text(), 'The silent ones; at most 20.'), []),
  waiting: orElse(whole('Events that wait in the spools of those that report.'), 0),
  missing: orElse(
    whole(
      'Events that spools numbered and the store has not received; accepted losses not counted.',
    ),
    0,
  ),
  gaps: gapsField,
  oldestSourceAgeS: orNull(
    number('Seconds since the last word, delivery or heartbeat, of the most silent spool.'),
  ),
  skewedSources: orElse(list(text(), 'Spools whose senders have wrong clocks.'), []),
  hotFrom: orNull(
    time('Start of the hot store; older rows, or of events older events, are in the archive.'),
  ),
  archive: choice(
    archiveUses,
    'What the archive is to this answer: used; available, and not searched; off; or unreachable, when it was to be searched and could not be.',
  ),
  archiveSearchedFrom: orNull(time('From when on the archive was searched; null when it was not.')),
  archiveMissing: orElse(
    list(archiveGapTable, 'What this answer may lack because the archive was not searched there.'),
    [],
  ),
})
