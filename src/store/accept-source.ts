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
      select s.epoch, o.open::text as open, count_numbers(o.open) as missing,
        (s.reused - s.accepted_reuse)::text as reuse, count_numbers(s.reused - s.accepted_reuse) as reused
      from source s, lateral (select ${openSql(sql)} as open) o
      where s.source_id = ${id} order by s.epoch for update of s`
    const [state] = await tx<State[]>`
      /* sources.acceptState */
      select ${stateSql(sql)} as state, t.waiting,
        coalesce(t.delivered_at > now() - make_interval(secs => ${stillS}), false) as delivers
      from source_state t where t.source_id = ${id} for update`
    if (!state) throw new AppError('not_found', `there is no source ${id}`, { field: 'id' })
    const lossy = openings.filter(({ missing, reused }) => missing + reused > 0)
    const missing = lossy.reduce((sum, one) => sum + one.missing, 0)
    const retires = state.state === 'silent' || (state.state === 'unknown' && !state.delivers)
    check(lossy, { missing, retires, expected })
    for (const { epoch, open, reuse } of lossy) {
      await tx`
        /* sources.accept */
        update source set accepted = accepted + ${open}::text::int8multirange,
          accepted_reuse = accepted_reuse + ${reuse}::text::int8multirange
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

/** A source that delivered within so many seconds still delivers. */
const stillS = 600

type State = { state: StateWord; waiting: number | null; delivers: boolean }
/** `open` and `reuse` are ranges as text: of missing numbers, and of those that came with two events. */
type Opening = { epoch: string; open: string; missing: number; reuse: string; reused: number }

/** Of a loss with very many ranges the record has the first, and the count of all. */
const toRecord = ({ epoch, open, missing, reuse, reused }: Opening) => ({
  epoch,
  count: missing,
  numbers: open.slice(0, 2000),
  ...(reused > 0 ? { reused, reused_numbers: reuse.slice(0, 2000) } : {}),
})

type Wanted = { missing: number; retires: boolean; expected: number | undefined }

function check(lossy: readonly Opening[], { missing, retires, expected }: Wanted): void {
  if (expected !== undefined && expected !== missing) {
    throw new AppError(
      'conflict',
      `${missing} events are missing now, not ${expected}${byOpening(lossy)}; look again, then accept`,
      { field: 'missing' },
    )
  }
  if (lossy.length === 0 && !retires) {
    throw new AppError(
      'conflict',
      'nothing is missing of this source, no number came twice, and it reports or delivers: there is nothing to accept',
      { field: 'id' },
    )
  }
}

/** A source has an opening for each start of its sidecar; the list has a row for each. */
const byOpening = (lossy: readonly Opening[]) =>
  lossy.length < 2
    ? ''
    : ` (${lossy.length} openings: ${lossy
        .slice(0, 5)
        .map(({ epoch, missing }) => `${missing} of ${epoch}`)
        .join(', ')}${lossy.length > 5 ? ', …' : ''})`
