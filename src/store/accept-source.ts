import type { Acceptance, Accepted } from '../core/accept.ts'
import { AppError } from '../core/errors.ts'
import { writeAudit } from './audit.ts'
import type { Sql, Store } from './connect.ts'
import { type StateWord, stateSql } from './source-state.ts'
import { openSql } from './sources.ts'

/**
 * Accepts what a source has lost: its missing numbers, in all its openings, no longer count as missing; and
 * one that does not report retires, with what it may still hold. The numbers stay in the ledger, as accepted,
 * and one that arrives later counts as received. Who, when and why are in the audit table, in the
 * same transaction.
 *
 * @throws AppError not_found; conflict when there is nothing to accept, or not what was expected
 */
export function acceptSource(
  store: Store,
  id: string,
  { reason, expected, actor, address }: Acceptance,
): Promise<Accepted> {
  return store.begin({ operation: 'acceptSource', table: 'source' }, async (tx) => {
    const sql = tx as unknown as Sql
    const openings = await tx<Opening[]>`
      /* sources.acceptLock */
      select s.epoch, o.open::text as open, count_numbers(o.open) as missing
      from source s, lateral (select ${openSql(sql)} as open) o
      where s.source_id = ${id} order by s.epoch for update of s`
    const [state] = await tx<{ state: StateWord; waiting: number | null }[]>`
      /* sources.acceptState */
      select ${stateSql(sql)} as state, t.waiting from source_state t
      where t.source_id = ${id} for update`
    if (!state) throw new AppError('not_found', `there is no source ${id}`, { field: 'id' })
    const lossy = openings.filter(({ missing }) => missing > 0)
    const missing = lossy.reduce((sum, one) => sum + one.missing, 0)
    const retires = state.state === 'silent' || state.state === 'unknown'
    check(missing, retires, expected)
    for (const { epoch, open } of lossy) {
      await tx`
        /* sources.accept */
        update source set accepted = accepted + ${open}::text::int8multirange
        where source_id = ${id} and epoch = ${epoch}`
    }
    if (retires) {
      await tx`
        /* sources.acceptRetire */
        update source_state set retired_at = now() where source_id = ${id}`
    }
    await writeAudit(tx, {
      ...{ actor, address, reason, action: 'source.accept', object: `source ${id}` },
      before: { state: state.state, waiting: state.waiting, missing: lossy.map(toRecord) },
      after: { accepted: missing, state: retires ? 'retired' : state.state },
    })
    return { accepted: missing, retired: retires }
  })
}

type Opening = { epoch: string; open: string; missing: number }

/** Of a loss with very many ranges the record has the first, and the count of all. */
const toRecord = ({ epoch, open, missing }: Opening) => ({
  epoch,
  count: missing,
  numbers: open.slice(0, 2000),
})

function check(missing: number, retires: boolean, expected: number | undefined): void {
  if (expected !== undefined && expected !== missing) {
    throw new AppError(
      'conflict',
      `${missing} events are missing now, not ${expected}; look again, then accept`,
      { field: 'missing' },
    )
  }
  if (missing === 0 && !retires) {
    throw new AppError(
      'conflict',
      'nothing is missing of this source, and it is not silent: there is nothing to accept',
      { field: 'id' },
    )
  }
}
