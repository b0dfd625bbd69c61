import { must } from '../../core/must.ts'
import type { Store } from '../connect.ts'
import type { TransactionSql } from '../driver.ts'
import { beginSlowly, type Loss } from '../slow-transaction.ts'
import { type ArchiveKind, type ArchiveRow, archiveColumns, timeColumn } from './columns.ts'
import type { Hour } from './hours.ts'

/*
 * The rows of an hour. Raw events do not change below the freeze horizon, but jobs do, by late
 * events: so one kind of one hour is counted and read in one snapshot.
 */

/** The maximum of rows in one fetch, and about how much text. */
const maxBatch = { rows: 10_000, characters: 8 * 2 ** 20 }

/**
 * Hands the rows of one kind of an hour to `consume`, in the order of time and in batches that stay
 * small whatever the rows hold. They come from one snapshot, of which `count` is counted as well, by
 * the database.
 *
 * @throws what `consume` throws, or the loss of the connection; `consume` has ended then
 */
export async function readHour<T>(
  store: Store,
  kind: ArchiveKind,
  hour: Hour,
  consume: (batches: AsyncGenerator<ArchiveRow[]>, count: number) => Promise<T>,
): Promise<T> {
  return beginSlowly(store, { operation: 'readHour', table: kind }, async (tx, loss) => {
    await tx`/* archive.snapshot */ set transaction isolation level repeatable read, read only`
    // Between two fetches files are written, on a disk that may be slow; nobody waits for this.
    await tx`set local idle_in_transaction_session_timeout = '60s'`
    const count = await countRows(tx, kind, hour)
    return consume(fetchRows(tx, kind, hour, loss), count)
  })
}

const within = (kind: ArchiveKind) =>
  `from ${kind} where ${timeColumn(kind)} >= $1 and ${timeColumn(kind)} < $2 and site_id = $3`

async function countRows(tx: TransactionSql, kind: ArchiveKind, { from, to, site }: Hour) {
  const [row] = await tx.unsafe(
    `/* archive.countHour */ select count(*)::int8 as n ${within(kind)}`,
    [from, to, site],
  )
  return Number(must(row, 'count(*) gives one row').n)
}

async function* fetchRows(
  tx: TransactionSql,
  kind: ArchiveKind,
  { from, to, site }: Hour,
  loss: Loss,
) {
  const id = kind === 'event' ? 'idempotency_key' : `${kind}_id`
  const selected = archiveColumns[kind].map(({ name, sql }) => `${sql} as "${name}"`).join(', ')
  // The result has a column of the same name as the time, hence the name of the table before it.
  await tx.unsafe(
    `/* archive.readHour */ declare hour_rows no scroll cursor for
     select ${selected} ${within(kind)} order by ${kind}.${timeColumn(kind)}, ${kind}.${id}`,
    [from, to, site],
  )
  for (let size = 500; ; ) {
    if (loss.lost) throw new Error('the connection to the database was lost')
    const rows = (await tx
      .unsafe(`/* archive.fetch */ fetch forward ${size} from hour_rows`)
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
