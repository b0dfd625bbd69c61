import { retireAfterDays } from '../core/source-state.ts'
import type { Store } from './connect.ts'

/**
 * Retires sources of which nothing is expected any more: a day after a goodbye, and after a week without a word.
 * One that last said that events wait in its spool stays silent until a person accepts their loss. What is
 * missing of a retired source stays missing. Ages go by the trusted time.
 */
export async function retireSources(store: Store): Promise<void> {
  const { gone, silent } = retireAfterDays
  await store.ask(
    { operation: 'retireSources', table: 'source_state' },
    (sql) => sql`
      /* maintenance.retireSources */
      update source_state t set retired_at = now()
      from (select trusted_at as now from horizon) h
      where t.retired_at is null and (
        (t.gone and t.heard_at < h.now - make_interval(days => ${gone}))
        or (greatest(t.heard_at, t.delivered_at) < h.now - make_interval(days => ${silent})
          and coalesce(t.waiting, 0) = 0))`,
  )
}

/** Days after which an epoch of which nothing was heard leaves, whatever it shows. */
const forgottenDays = 400

/**
 * Every start of a sidecar is an epoch. The newest of each that has not retired stays, and those that show a loss; for
 * 400 days at most: what is missing then does not come any more.
 */
export async function trimSources(store: Store): Promise<void> {
  await store.ask(
    { operation: 'trimEpochs', table: 'source' },
    (sql) => sql`
      /* maintenance.trimEpochs */
      delete from source s
      where last_stored_at < (select trusted_at from horizon) - interval '90 days'
        and (last_stored_at < (select trusted_at from horizon) - make_interval(days => ${forgottenDays})
          or (received = int8multirange(int8range(1, upper(received)))
            and (exists (select from source newer
                where newer.source_id = s.source_id and newer.last_stored_at > s.last_stored_at)
              or exists (select from source_state t
                where t.source_id = s.source_id and t.retired_at is not null))))`,
  )
  await store.ask(
    { operation: 'trimSourceStates', table: 'source_state' },
    (sql) => sql`
      /* maintenance.trimSourceStates */
      delete from source_state t
      where (t.retired_at < (select trusted_at from horizon) - interval '90 days'
          or greatest(t.heard_at, t.delivered_at) < (select trusted_at from horizon) - make_interval(days => ${forgottenDays}))
        and not exists (select from source s where s.source_id = t.source_id)`,
  )
}
