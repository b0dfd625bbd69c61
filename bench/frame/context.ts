import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startEmbedded } from '../../src/embedded-postgres/server.ts'
import { createLog } from '../../src/platform/log.ts'
import { connect } from '../../src/store/connect.ts'
import { readEdition } from '../../src/store/edition.ts'
import { freshDatabase } from '../../test/support/database.ts'
import type { Context, Options } from './bench.ts'

/** A folder on the disk that is measured; gone when the bench is over. */
export function folder({ after }: Pick<Context, 'after'>): string {
  const dir = mkdtempSync(join(tmpdir(), 'wafermon-bench-'))
  after(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

/** Runs work with a context; whatever it opened is closed, however it ends. */
export async function withContext<T>(options: Options, work: (context: Context) => Promise<T>) {
  const ends: (() => unknown)[] = []
  const context: Context = {
    options,
    after: (end) => void ends.push(end),
    database: () => database(context),
    log: (text) => void process.stderr.write(`${text}\n`),
  }
  try {
    return await work(context)
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function database(context: Context) {
  // The helper of the tests clones a migrated template on the server that is named here.
  process.env.TEST_DATABASE_URL = context.options.database ?? (await embedded(context))
  const { url } = await freshDatabase(context)
  const store = connect(url, { role: 'bench', max: 1 })
  const edition = await readEdition(store.sql)
  const [row] = await store.ask({ operation: 'bench', table: 'none' }, (sql) => {
    return sql<{ version: string; sync: string }[]>`
      select current_setting('server_version') as version,
        current_setting('fsync') || ' ' || current_setting('full_page_writes') as sync`
  })
  await store.close()
  const durable = row!.sync === 'on on'
  if (!durable) context.log('NOT DURABLE: fsync or full_page_writes is off')
  const timescale = edition.kind === 'plain' ? '' : `, TimescaleDB ${edition.version}`
  return { url, server: `PostgreSQL ${row!.version}${timescale}${durable ? '' : ', fsync off'}` }
}

/** With what an operator of `wafermon up` has, durability above all. */
async function embedded(context: Context): Promise<string> {
  const log = createLog({ service: 'bench', level: 'warn', json: false })
  const server = await startEmbedded({ dir: folder(context), log })
  context.after(() => server.stop())
  return server.url
}
