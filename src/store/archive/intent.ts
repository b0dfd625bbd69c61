import type { Store } from '../connect.ts'
import type { TransactionSql } from '../driver.ts'
import { type Day, toDate, toDay } from './days.ts'

/* The table "archive_intent": the manifest of a site that is being written. */

const op = (operation: string) => ({ operation, table: 'archive_intent' })

export type Intent = { day: Day; number: number }

/** Notes the manifest that is about to be written. */
export async function noteIntent(store: Store, day: Day, number: number): Promise<void> {
  await store.ask(
    op('noteIntent'),
    (sql) => sql`
      /* archive.intend */
      insert into archive_intent (site_id, day, number)
      values (${day.site}, ${toDate(day)}::date, ${number})
      on conflict (site_id) do update set day = excluded.day, number = excluded.number`,
  )
}

/** The manifest of a site that may be under way. */
export async function readIntent(store: Store, site: string): Promise<Intent | undefined> {
  const [row] = await store.ask<{ date: string; number: number }[]>(
    op('readIntent'),
    (sql) => sql`
      /* archive.intent */
      select day::text as date, number from archive_intent where site_id = ${site}`,
  )
  return row && { day: toDay(site, `${row.date}T00:00:00.000000Z`), number: row.number }
}

/** Ends the note of a manifest whose name is given: nothing that is under way can give it any more. */
export async function endIntent(store: Pick<Store, 'begin'>, intent: Intent): Promise<void> {
  await store.begin(op('endIntent'), (tx) => endIntentIn(tx, intent))
}

/** As {@link endIntent}, in a transaction. */
export async function endIntentIn(
  tx: TransactionSql,
  { day, number }: { day: Day; number: number },
): Promise<void> {
  await tx`
    /* archive.intended */
    delete from archive_intent
    where site_id = ${day.site} and day = ${toDate(day)}::date and number = ${number}`
}
