import type { Event } from '../core/event.ts'
import type { JobFilter } from '../core/job.ts'
import type { ListPage, Place } from '../core/list-order.ts'
import { must } from '../core/must.ts'
import { type App, appsQuestion } from '../core/questions/apps.ts'
import type { Sql, Store, TransactionSql } from './connect.ts'
import { readList } from './page.ts'
import { countEvents, notingEventsSql } from './rollups/count-events.ts'

const table = 'app'

/** A program is one app, however many ids it makes. */
export function listApps(
  store: Store,
  { site }: { site?: string | undefined },
  signal: AbortSignal,
  after?: Place,
): Promise<ListPage<App>> {
  const [name = '', siteId = ''] = after ?? []
  const question = (sql: Sql, limit: number) => sql<App[]>`
    /* apps.list */
    select app_id, name, version, site_id, first_seen_at, last_seen_at from app
    where true ${site === undefined ? sql`` : sql`and site_id = ${site}`}
    ${after ? sql`and (name collate "C", site_id collate "C") > (${name}, ${siteId})` : sql``}
    order by name collate "C", site_id collate "C" limit ${limit}`
  const order = must(appsQuestion.order, 'it comes in pages')
  const rows = { order, question, toItem: (row: App) => row }
  return readList(store, { operation: 'listApps', table }, rows, signal)
}

/** The distinct names of apps that contain a text, case-insensitively. */
export async function findAppNames(
  store: Store,
  contains: string,
  site: string | undefined,
  signal: AbortSignal,
): Promise<string[]> {
  const rows = await store.ask<{ name: string }[]>(
    { operation: 'findAppNames', table },
    (sql) => sql`
      /* apps.findNames */
      select distinct name from app where name ilike ${`%${escapeLike(contains)}%`}
      ${site === undefined ? sql`` : sql`and site_id = ${site}`}
      order by name`,
    signal,
  )
  return rows.map(({ name }) => name)
}

/**
 * Exact names for what a filter says of apps; undefined when that narrows nothing. An app's id does not
 * give its name: old programs make an id for every run.
 */
export async function resolveApps(
  store: Store,
  { appName, exactApp, site }: Partial<Pick<JobFilter, 'appName' | 'exactApp' | 'site'>>,
  signal: AbortSignal,
): Promise<string[] | undefined> {
  if (appName === undefined) return exactApp === undefined ? undefined : [exactApp]
  const names = await findAppNames(store, appName, site, signal)
  return exactApp === undefined ? names : names.filter((name) => name === exactApp)
}

/** Text that LIKE takes literally. */
export const escapeLike = (text: string) => text.replaceAll(/[\\%_]/g, '\\$&')

/** Notes the apps of a batch, each with the version of its latest event, and how many events it has (rollups). */
export async function upsertApps(tx: TransactionSql, fresh: readonly Event[]): Promise<void> {
  const apps = new Map<string, Event>()
  for (const event of fresh) {
    const name = JSON.stringify([event.site_id, event.app.name])
    const known = apps.get(name)
    if (!known || event.event.at > known.event.at) apps.set(name, event)
  }
  if (apps.size === 0) return
  const rows = [...apps.values()].map(({ site_id, app }) => ({
    site_id,
    name: app.name,
    app_id: app.app_id,
    version: app.version,
  }))
  await tx.unsafe(upsertAppsSql, [JSON.stringify(rows), JSON.stringify(countEvents(fresh))], {
    prepare: true,
  })
}

/**
 * A row that is a minute fresh is left alone, and not even locked: most batches write nothing here,
 * and concurrent batches do not wait for each other.
 */
const upsertAppsSql = `/* ingest.upsertApps */
with ${notingEventsSql('$2')}
insert into app (site_id, name, app_id, version)
select * from json_to_recordset($1::text::json)
  as a (site_id text, name text, app_id uuid, version text)
where not exists (
  select from app k where k.site_id = a.site_id and k.name = a.name
    and k.last_seen_at >= now() - interval '1 minute')
order by 1, 2
on conflict (site_id, name) do update set
  app_id = excluded.app_id, version = excluded.version, last_seen_at = now()
where app.last_seen_at < now() - interval '1 minute'`
