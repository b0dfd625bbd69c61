import type { Sink } from '../../core/delivery.ts'
import { openEventFiles } from '../event-files/open.ts'
import type { FreeSpace } from '../event-files/writer.ts'
import type { SinkContext } from '../kind.ts'
import type { Settings } from './settings.ts'

export function openJson(
  settings: Settings,
  { log, state }: SinkContext,
  freeSpace?: FreeSpace,
): Sink {
  return openEventFiles(
    {
      ...settings,
      extension: 'jsonl',
      header: '',
      quoted: false,
      log,
      state,
      ...(freeSpace ? { freeSpace } : {}),
    },
    (_event, body) => `${body.replaceAll(lineEnds, ' ')}\n`,
  )
}

/** Within a text of JSON they are escaped; between its parts they mean nothing. */
const lineEnds = /[\r\n]+/g
