import { openStatusLine } from '../platform/status-line.ts'
import type { Place } from './places/place.ts'
import { assertArchive } from './print.ts'
import { type ArchiveQuery, ArchiveReading, type Missing } from './read/reading.ts'
import { openRowPrinter, type RowFormat } from './row-printers.ts'

/**
 * `wafermon archive query`. Rows are printed as they are read. What cannot be read is told on standard error, and the exit
 * code is 1 then.
 *
 * @throws ConfigError when there is no archive
 */
export async function runQuery(
  place: Place,
  query: ArchiveQuery,
  format: RowFormat,
): Promise<void> {
  await assertArchive(place)
  const status = openStatusLine()
  const reading = new ArchiveReading(place, query, {
    onMissing: (missing) => {
      status.clear()
      tellMissing(missing)
    },
    onDay: (done, days) => status.show(`${done} of ${days} days read`),
  })
  const printer = openRowPrinter(format, query.kind)
  for await (const rows of reading.batches()) await printer.rows(rows)
  status.clear()
  await printer.end()
  if (reading.days === 0) tellNoDay()
}

/** On standard error: that nothing was found because nothing was there to look at. */
export function tellNoDay(): void {
  process.stderr.write(
    'the archive has no day of these sites and this span; wafermon archive ls lists its days\n',
  )
}

/** On standard error. The exit code is 1 from then on. */
export function tellMissing({ site, from, to, why }: Missing): void {
  process.exitCode = 1
  process.stderr.write(`MISSING  ${site}  ${from} to ${to}: ${why}\n`)
}
