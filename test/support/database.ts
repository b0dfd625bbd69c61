import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'
import { pino } from 'pino'
import { connect, type Store } from '../../src/store/connect.ts'
import { migrate } from '../../src/store/migrate.ts'
import { startTestServer } from './own-server.ts'
import { freshFolder } from './processes.ts'

export type Edition = 'plain' | 'timescale'

/** Pass to `describe` or `test`: says why a test for TimescaleDB did not run. */
export const needsTimescale = {
  skip: process.env.TEST_TIMESCALE_URL
    ? false
    : 'TEST_TIMESCALE_URL is not set: run .ci/run, which brings TimescaleDB up',
}

const op = { operation: 'test', table: 'none' }
/** Any number; the same in every test file, so that one of them makes the template. */
const templateLock = 4_711_001
const migrations = new URL('../../sql/migrations/', import.meta.url)

/**
 * A database of its own for a test, with all migrations applied: locks and notifications are per
 * database, so tests share nothing. Cloned from a template (a fifth of a second), dropped after.
 *
 * @returns its address, as in DATABASE_URL
 */
export async function freshDatabase(
  t: Pick<TestContext, 'after'>,
  { edition = 'plain' }: { edition?: Edition } = {},
): Promise<{ url: string }> {
  const server = await serverUrl(edition)
  const name = `test_${process.pid}_${randomBytes(6).toString('hex')}`
  const template = await readyTemplate(server)
  await asAdmin(server, (admin) => clone(admin, name, template))
  t.after(() => asAdmin(server, (admin) => run(admin, `drop database ${name} with (force)`)))
  return { url: inDatabase(server, name) }
}

/** An empty database, for the tests of the migrations themselves. */
export async function emptyDatabase(
  t: Pick<TestContext, 'after'>,
  { edition = 'plain' }: { edition?: Edition } = {},
): Promise<{ url: string }> {
  const server = await serverUrl(edition)
  const name = `test_${process.pid}_${randomBytes(6).toString('hex')}`
  await asAdmin(server, (admin) => run(admin, `create database ${name} template template0`))
  t.after(() => asAdmin(server, (admin) => run(admin, `drop database ${name} with (force)`)))
  return { url: inDatabase(server, name) }
}

/** A folder of migrations, by name. */
export function migrationFolder(files: Record<string, string>): URL {
  const folder = join(freshFolder(), 'migrations')
  mkdirSync(folder)
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  return pathToFileURL(`${folder}/`)
}

let own: Promise<{ url: string }> | undefined

async function serverUrl(edition: Edition): Promise<string> {
  if (edition === 'timescale') {
    if (!process.env.TEST_TIMESCALE_URL) throw new Error(String(needsTimescale.skip))
    return process.env.TEST_TIMESCALE_URL
  }
  if (process.env.TEST_DATABASE_URL) return process.env.TEST_DATABASE_URL
  // A file that is run alone, without the global setup.
  own ??= startTestServer()
  return (await own).url
}

const made = new Map<string, Promise<string>>()

/** Name of the migrated template of a server; made by the first that needs it. */
function readyTemplate(server: string): Promise<string> {
  const making = made.get(server) ?? asAdmin(server, (admin) => makeTemplate(admin, server))
  made.set(server, making)
  return making
}

async function makeTemplate(admin: Store, server: string): Promise<string> {
  // Named by its content: a server that outlives a run may have one of older migrations.
  const name = `wafermon_template_${migrationsHash()}`
  await run(admin, `select pg_advisory_lock(${templateLock})`)
  try {
    const found = await run(admin, `select datallowconn from pg_database where datname = '${name}'`)
    if (found[0]?.datallowconn === false) return name
    if (found[0]) await run(admin, `drop database ${name} with (force)`)
    await run(admin, `create database ${name} template template0`)
    await migrate(inDatabase(server, name), pino({ level: 'silent' }))
    // Closed, it counts as finished; and no connection keeps it from being cloned.
    await run(admin, `alter database ${name} with allow_connections false`)
    return name
  } finally {
    await run(admin, `select pg_advisory_unlock(${templateLock})`)
  }
}

/** TimescaleDB's own workers look into a template now and then: sent away, and tried again. */
async function clone(admin: Store, name: string, template: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      await run(admin, `create database ${name} template ${template}`)
      return
    } catch (error) {
      if (attempt === 20 || (error as { code?: string }).code !== '55006') throw error
      const others = `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${template}'`
      await run(admin, others)
    }
  }
}

function migrationsHash(): string {
  const hash = createHash('sha256')
  for (const file of readdirSync(migrations).sort()) {
    hash.update(file).update(readFileSync(new URL(file, migrations)))
  }
  return hash.digest('hex').slice(0, 12)
}

async function asAdmin<T>(server: string, work: (admin: Store) => Promise<T>): Promise<T> {
  const admin = connect(server, { role: 'test admin', max: 1, keep: true })
  try {
    return await work(admin)
  } finally {
    await admin.close()
  }
}

const run = (admin: Store, statement: string) => admin.ask(op, (sql) => sql.unsafe(statement))

function inDatabase(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
