import { fromMicros, toMicros } from '../core/time.ts'
import type { ArchivedFile } from '../store/archive/files.ts'
import type { EventKey } from '../store/archive/rows.ts'
import { DayFailure } from './day-failure.ts'
import { readColumns } from './parquet-read.ts'
import type { Place } from './places/place.ts'
import { timeColumnOf } from './read-back.ts'

/* The identities of events in files of the archive. */

/**
 * Reads the identities of all events of a file.
 *
 * @throws DayFailure when the file is missing
 */
export async function readEventKeys(
  place: Place,
  file: ArchivedFile,
  consume: (keys: EventKey[]) => void | Promise<void>,
): Promise<void> {
  const content = await place.read(file.path)
  if (!content) throw new DayFailure(`${file.path} is missing, although a manifest names it`)
  await readColumns(content, [timeColumnOf(file), 'idempotency_key'], ([times = [], keys = []]) =>
    consume(times.map((time, i) => ({ at: fromMicros(time as bigint), key: String(keys[i]) }))),
  )
}

/** Which of some late events the files have already. Reads only files whose times can match. */
export async function findKnown(
  place: Place,
  files: readonly ArchivedFile[],
  late: readonly EventKey[],
): Promise<EventKey[]> {
  const wanted = new Map(late.map((event) => [`${toMicros(event.at)} ${event.key}`, event]))
  const times = late.map(({ at }) => at)
  const [first, last] = [least(times), greatest(times)]
  const known: EventKey[] = []
  for (const file of files) {
    if (file.kind !== 'event' || file.atMin > last || file.atMax < first) continue
    await readEventKeys(place, file, (keys) => {
      for (const { at, key } of keys) {
        const id = `${toMicros(at)} ${key}`
        const event = wanted.get(id)
        if (event) known.push(event)
        wanted.delete(id)
      }
    })
  }
  return known
}

const least = (times: readonly string[]) => times.reduce((a, b) => (b < a ? b : a))
const greatest = (times: readonly string[]) => times.reduce((a, b) => (b > a ? b : a))
