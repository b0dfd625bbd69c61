import { stoppedReportingAfterS } from '../core/source-state.ts'
import type { TransactionSql } from './connect.ts'

/*
 * That each source delivers, in the row of its state, to ten seconds. A heartbeat writes the same row, and must
 * wait for no batch: so a batch looks without a lock whether it is due, and writes last of all, when nothing but
 * its commit is left.
 */

/** One opening of the spool of a source. */
export type Opening = { source: string; epoch: string }

/** Whether the delivery of the opening `n` has to be noted. */
export const isDue = (tx: TransactionSql) => tx`
  not exists (select from source_state k where k.source_id = n.source_id
    and k.delivered_at > now() - interval '10 seconds' and k.retired_at is null
    and (k.epoch >= n.epoch or not ${isUnheard(tx, tx`k`)}))`

/** True while the opening that speaks is not known from heartbeats: it sent none, or sends none any more. */
const isUnheard = (tx: TransactionSql, row: ReturnType<TransactionSql>) => tx`
  (${row}.heard_at is null
    or ${row}.heard_at < now() - make_interval(secs => ${stoppedReportingAfterS}))`

/** To be called last in the transaction. The opening that speaks is then the one that opened last. */
export async function noteDeliveries(tx: TransactionSql, due: readonly Opening[]): Promise<void> {
  if (due.length === 0) return
  await tx`
    /* ingest.noteDeliveries */
    insert into source_state as t (source_id, epoch, delivered_at)
    select r.source, max(r.epoch), now()
    from json_to_recordset(${JSON.stringify(due)}::text::json) as r (source text, epoch text)
    group by 1 order by 1
    on conflict (source_id) do update set delivered_at = now(), retired_at = null,
      epoch = case when ${isUnheard(tx, tx`t`)} then greatest(t.epoch, excluded.epoch) else t.epoch end`
}
