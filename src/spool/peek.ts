import type { Outgoing } from '../core/delivery.ts'
import type { Epochs } from './epochs.ts'
import { DamageError } from './guard.ts'
import type { Positions } from './positions.ts'
import type { Row, Statements } from './statements.ts'
import { toOutgoing } from './tail.ts'

export type Batch = { from: number; limit: number; maxBytes: number }

/**
 * The next events after `from`, in the order they came, as they are sent.
 *
 * @throws DamageError when one of them is missing: what is acknowledged after it would delete it
 */
export function readBatch(
  { after }: Statements,
  epochs: Epochs,
  positions: Positions,
  { from, limit, maxBytes }: Batch,
): Outgoing[] {
  const batch: Outgoing[] = []
  let bytes = 0
  let last = from
  for (const row of after.iterate(from, limit) as Iterable<Row>) {
    if (row.seq > positions.lastOut) break
    const due = positions.next(last)
    if (row.seq !== due) throw new DamageError(`event ${due} is missing, ${row.seq} is there`)
    bytes += row.body.length
    if (batch.length > 0 && bytes > maxBytes) break
    batch.push(toOutgoing(epochs, row))
    last = row.seq
  }
  return batch
}
