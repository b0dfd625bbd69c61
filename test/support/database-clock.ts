import type { TestContext } from 'node:test'
import type { Edition } from './database.ts'
import { openOn, openStore, run } from './store.ts'

/** A store on a database whose clock the test sets: `now()` and `clock_timestamp()` are its own. */
export async function withClock(t: Pick<TestContext, 'after'>, edition: Edition = 'plain') {
  const { store: admin, url } = await openStore(t, edition)
  const name = new URL(url).pathname.slice(1)
  await run(admin, 'create schema fake')
  await run(admin, `create table fake.clock as select interval '0' as ahead`)
  for (const reading of ['now', 'clock_timestamp']) {
    await run(
      admin,
      `create function fake.${reading}() returns timestamptz stable language sql as
         'select pg_catalog.${reading}() + ahead from fake.clock'`,
    )
  }
  await run(admin, `alter database ${name} set search_path = public, fake, pg_catalog`)
  const store = openOn(t, url)
  const setAhead = (ahead: string) => run(admin, `update fake.clock set ahead = '${ahead}'`)
  return { store, url, setAhead }
}
