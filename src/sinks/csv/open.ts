import { csvLine } from '../../core/csv.ts'
import type { Sink } from '../../core/delivery.ts'
import { csvColumns, toRow } from '../../core/event-columns.ts'
import { openEventFiles } from '../event-files/open.ts'
import type { FreeSpace } from '../event-files/writer.ts'
import type { SinkContext } from '../kind.ts'
import type { Settings } from './settings.ts'

export function openCsv(
  settings: Settings,
  { log, state }: SinkContext,
  freeSpace?: FreeSpace,
): Sink {
  const { include_headers, delimiter, ...files } = settings
  const names = csvColumns.map(({ name }) => name)
  const header = include_headers ? csvLine(names, delimiter) : ''
  return openEventFiles(
    {
      ...files,
      extension: 'csv',
      header,
      quoted: true,
      log,
      state,
      ...(freeSpace ? { freeSpace } : {}),
    },
    (event) => csvLine(toRow(event, csvColumns), delimiter),
  )
}
