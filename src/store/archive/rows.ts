import { must } from '../../core/must.ts'
import type { Micros } from '../../core/time.ts'
import type { Store } from '../connect.ts'
import type { TransactionSql } from '../driver.ts'
import { eventColumns } from '../ingest-sql.ts'
import { beginSlowly, type Loss } from '../slow-transaction.ts'
import { toArrays } from '../unnest.ts'
import { type ArchiveKind, type ArchiveRow, archiveColumns } from './columns.ts'
import type { Day } from './days.ts'
import { isChangedSql, isShelvedSql, type JobKind, withArchivedSql } from './jobs-sql.ts'

/*
 * The rows of a day that the archive does not have yet. Raw events do not change below the freeze horizon, but jobs
 * do, and events still come late: so one kind of one day is counted and read in one snapshot.
 */

/** An event as "event" and "event_late" tell it from others. */
export type EventKey = { at: Micros; key: string }

/** What is read of a day. */
export type Wanted = {
  /** Also the rows of `event`, but for those of the hours that start at these times; absent: `event_late` only. */
  events: { exceptHours: readonly Micros[] } | undefined
  /** Which of some late events the archive has in this day. They are not read. */
  findKnown(late: readonly EventKey[]): Promise<EventKey[]>
}

/** The rows, their count by the database, and the late events among them and besides. */
export type DayRows = {
  batches: AsyncGenerator<ArchiveRow[]>
  count: number
  /** How many of the rows are of `event_late`. */
  late: number
  /** Late events that the archive has already. */
  repeats: EventKey[]
}

/** The maximum of rows in one fetch, and about how much text. */
const maxBatch = { rows: 2000, characters: 4 * 2 ** 20 }

/**
 * Hands the rows of one kind of a day to `consume`, in the order of their time (those without one first) and in batches
 * that stay small whatever the rows hold. They come from one snapshot, in which they are counted as well, by the
 * database.
 *
 * @throws what `consume` throws, or the loss of the connection; `consume` has ended then
 */
export async function readDay<T>(
  store: Store,
  kind: ArchiveKind,
  day: Day,
  wanted: Wanted,
  consume: (rows: DayRows) => Promise<T>,
): Promise<T> {
  return beginSlowly(store, { operation: 'readDay', table: kind }, async (tx, loss) => {
    await tx`/* archive.snapshot */ set transaction isolation level repeatable read, read only`
    // Between two fetches files are written, on a disk that may be slow; nobody waits for this.
    await tx`set local idle_in_transaction_session_timeout = '60s'`
    const source =
      kind === 'event'
        ? await eventSource(tx, day, wanted, loss)
        : { ...jobSource(kind, day), repeats: [] }
    const [row] = await tx.unsafe<{ n: number; late: number }[]>(
      `/* archive.countDay */ select count(*)::int8 as n, count(*) filter (where is_late)::int8 as late from (${source.from}) t`,
      source.values,
    )
    const { n: count, late } = must(row, 'count(*) gives one row')
    return consume({
      batches: fetchRows(tx, kind, source, loss),
      count,
      late,
      repeats: source.repeats,
    })
  })
}

/** A query of rows with all columns that the archive's are made of, and `is_late`. */
type Source = { from: string; values: string[]; order: string }

async function eventSource(
  tx: TransactionSql,
  { site, from, to }: Day,
  wanted: Wanted,
  loss: Loss,
) {
  const late = await tx<EventKey[]>`
    /* archive.lateKeys */
    select at, idempotency_key as key from event_late
    where at >= ${from} and at < ${to} and site_id = ${site} and restored_until is null`
  const repeats = late.length === 0 ? [] : await wanted.findKnown(late)
  if (loss.lost) throw new Error('the connection to the database was lost')
  const columns = [...eventColumns.map(([name]) => name), 'stored_at'].join(', ')
  const within = 'at >= $1::timestamptz and at < $2::timestamptz and site_id = $3'
  const lateRows = `select ${columns}, true as is_late from event_late where ${within} and restored_until is null
    and (at, idempotency_key) not in (select * from unnest($4::timestamptz[], $5::uuid[]))`
  const rows = `select ${columns}, false as is_late from event where ${within}
    and date_trunc('hour', at, 'UTC') <> all($6::timestamptz[])`
  const hours = wanted.events?.exceptHours
  return {
    from: hours ? `${rows} union all ${lateRows}` : lateRows,
    values: [
      from,
      to,
      site,
      ...toArrays(repeats, keyColumns),
      ...(hours ? [`{${hours.join(',')}}`] : []),
    ],
    order: 't.at, t.idempotency_key',
    repeats,
  }
}

/** Of rows of {@link EventKey}, for `unnest`. */
export const keyColumns = [
  ['at', 'timestamptz'],
  ['key', 'uuid'],
] as const

/** Changed jobs, and the jobs that have left the day: those as rows of their ids alone. */
function jobSource(kind: JobKind, { site, from, to }: Day): Source {
  return {
    from: `select t.*, coalesce(a.version, 0) + 1 as version, null::text as moved_to, false as is_late
      from ${withArchivedSql(kind)}
      where t.site_id = $3 and ${isShelvedSql('$1::timestamptz', '$2::timestamptz')} and ${isChangedSql}
      union all
      select r.*, m.version, m.moved_to, false
      from archive_move m, lateral jsonb_populate_record(null::${kind},
        jsonb_build_object('${kind}_id', m.id, 'site_id', m.site_id)) r
      where m.kind = '${kind}' and m.site_id = $3 and m.day = ($1::timestamptz at time zone 'UTC')::date`,
    values: [from, to, site],
    order: `t.ended_at nulls first, t.${kind}_id`,
  }
}

async function* fetchRows(tx: TransactionSql, kind: ArchiveKind, source: Source, loss: Loss) {
  const selected = archiveColumns[kind].map(({ name, sql }) => `${sql} as "${name}"`).join(', ')
  await tx.unsafe(
    `/* archive.readDay */ declare day_rows no scroll cursor for
     select ${selected} from (${source.from}) t order by ${source.order}`,
    source.values,
  )
  for (let size = 500; ; ) {
    if (loss.lost) throw new Error('the connection to the database was lost')
    const rows = (await tx
      .unsafe(`/* archive.fetch */ fetch forward ${size} from day_rows`)
      .values()) as unknown as ArchiveRow[]
    if (rows.length > 0) yield [...rows]
    if (rows.length < size) break
    size = nextSize(rows)
  }
}

/** As many rows as fit the text of a batch, judged by the last one; at most twice as many as it had. */
function nextSize(rows: readonly ArchiveRow[]): number {
  let characters = 0
  for (const row of rows) {
    for (const value of row) characters += typeof value === 'string' ? value.length : 8
  }
  const fitting = Math.floor((maxBatch.characters * rows.length) / Math.max(1, characters))
  return Math.max(50, Math.min(maxBatch.rows, rows.length * 2, fitting))
}
