import type { JobFilter, Position } from '../../core/job.ts'
import { fromMicros, type Micros, toMicros } from '../../core/time.ts'
import { type ArchivedDay, dateOf, nearOf } from '../../store/archive/find-days.ts'

/*
 * How far a list is known while days of it are still unread: a place in the list up to which, itself included, every row is
 * among those that were found.
 */

const [firstId, lastId] = [
  '00000000-0000-0000-0000-000000000000',
  'ffffffff-ffff-ffff-ffff-ffffffffffff',
]

/** The start of a day. */
export const startOf = (date: string): Micros => `${date}T00:00:00.000000Z`

/** The last place before all near jobs of a day that is not read yet, and of those after it. */
export function beforeDay(
  { day }: ArchivedDay,
  { time, order }: Pick<JobFilter, 'time' | 'order'>,
): Position {
  const { first, last } = nearOf(time)
  // Jobs of this day are at the latest at the end of `last` days after it, and at the earliest `first` days before.
  return order === 'desc'
    ? { at: startOf(dateOf(startOf(day), last + 1)), id: firstId }
    : beforeTime(startOf(dateOf(startOf(day), -first)))
}

const beforeTime = (at: Micros): Position => ({ at: fromMicros(toMicros(at) - 1n), id: lastId })

/** The last place before a row of a list. */
export function beforeRow({ at, id }: Position, order: JobFilter['order']): Position {
  const n = BigInt(`0x${id.replaceAll('-', '')}`)
  if (order === 'asc') return n === 0n ? beforeTime(at) : { at, id: toUuid(n - 1n) }
  const isLast = id === lastId
  return isLast ? { at: fromMicros(toMicros(at) + 1n), id: firstId } : { at, id: toUuid(n + 1n) }
}

function toUuid(n: bigint): string {
  const hex = n.toString(16).padStart(32, '0')
  return [
    hex.slice(0, 8),
    hex.slice(8, 12),
    hex.slice(12, 16),
    hex.slice(16, 20),
    hex.slice(20),
  ].join('-')
}
