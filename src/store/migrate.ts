import type { Logger } from 'pino'
import { AppError } from '../core/errors.ts'
import { sleep } from '../platform/backoff.ts'
import type { Sql, TransactionSql } from './connect.ts'
import { codeFromError, explainError } from './database-error.ts'
import {
  type Edition,
  type EditionKind,
  makeExtension,
  readEdition,
  recordedEdition,
} from './edition.ts'
import { askAgainMs, type Lease, openLease } from './lease.ts'
import { applyLicensed } from './licensed.ts'
import { type MigrationFile, readMigrationFiles, splitStatements } from './migration-files.ts'

/*
 * Brings a database to the schema that this program needs. Invariants:
 *
 * - Forward only. Applied files are never run again; their checksums are kept and compared.
 * - One runner at a time (lease.ts); a second one waits, then finds nothing to do.
 * - A file is applied and recorded in one transaction, so it is there whole or not at all. A file
 *   that begins with `-- no transaction` is recorded after its last statement and must be written
 *   so that running it again does no harm: the lease is checked before each statement.
 * - A database that a newer program migrated is left alone.
 * - The edition that the first run chose stays; an extension that comes later changes nothing.
 * - Licensed migrations are applied while the database runs under the Timescale licence. Whatever became
 *   of the licence, one that was applied stays, and one that is missing keeps no role from working.
 */

export type Migrated = { applied: string[]; edition: Edition }

/**
 * Applies what is missing.
 *
 * @returns the names of the files applied now, in order
 * @throws AppError conflict, unreachable: a sentence for the operator, with the remedy
 */
export async function migrate(url: string, log: Logger, folder?: URL): Promise<Migrated> {
  const lease = openLease(url, 'migrate', { role: 'migrate' })
  try {
    while ((await lease.hold()) === undefined) await sleep(askAgainMs / 10)
    return await migrateLocked(lease, log, folder)
  } catch (error) {
    throw explainError(error)
  } finally {
    await lease.close()
  }
}

async function migrateLocked(lease: Lease, log: Logger, folder?: URL): Promise<Migrated> {
  const { sql } = lease.reader
  const kind = (await recordedEdition(sql)) ?? (await makeExtension(sql))
  await lease.store.ask(
    op,
    (tx) => tx`
    /* migrate.table */
    create table if not exists migration (
      number     int primary key,
      name       text        not null,
      sha256     text        not null,
      edition    text        not null check (edition in ('plain', 'timescale')),
      applied_at timestamptz not null default now(),
      took_s     float8      not null
    )`,
  )
  const edition = await readEdition(sql)
  const missing = (await missingFiles(sql, kind, folder)).filter(
    ({ licensed }) => !licensed || edition.licence === 'tsl',
  )
  for (const file of missing) await apply(lease, file, kind, log)
  if (edition.licence === 'tsl') await applyLicensed(lease.store, folder)
  return { applied: namesOf(missing), edition }
}

/**
 * The files that a database lacks to be worked with: all that `migrate` would apply, but for licensed
 * ones. Reads only.
 *
 * @throws AppError conflict, when the database is newer than this program or a file was changed
 */
export async function pendingMigrations(sql: Sql, folder?: URL): Promise<string[]> {
  try {
    const recorded = await recordedEdition(sql)
    const files = recorded
      ? await missingFiles(sql, recorded, folder)
      : await readMigrationFiles((await readEdition(sql)).kind, folder)
    return namesOf(files.filter(({ licensed }) => !licensed))
  } catch (error) {
    throw explainError(error)
  }
}

const namesOf = (files: readonly MigrationFile[]) => files.map(({ name }) => name)

type Applied = { number: number; name: string; sha256: string }

async function missingFiles(sql: Sql, kind: EditionKind, folder?: URL): Promise<MigrationFile[]> {
  const files = await readMigrationFiles(kind, folder)
  const applied = await sql<Applied[]>`
    /* migrate.applied */ select number, name, sha256 from migration order by number`
  const byNumber = new Map(files.map((file) => [file.number, file]))
  for (const row of applied) checkUnchanged(row, byNumber.get(row.number))
  const last = applied.at(-1)?.number ?? 0
  const missing = files.filter(({ number }) => !applied.some((row) => row.number === number))
  const late = missing.find(({ number, licensed }) => number < last && !licensed)
  if (late) {
    throw conflict(`the migration ${late.name} is numbered below one that was applied; renumber it`)
  }
  return missing
}

function checkUnchanged(row: Applied, file: MigrationFile | undefined): void {
  if (!file) {
    throw conflict(
      `the database is newer than this program (it has the migration ${row.name}); run the version of wafermon that migrated it, or a newer one`,
    )
  }
  if (file.sha256 !== row.sha256 || file.name !== row.name) {
    throw conflict(
      `the migration ${file.name} differs from the one that was applied to this database (${row.name}); put the applied file back and make the change in a new one`,
    )
  }
}

async function apply(
  lease: Lease,
  file: MigrationFile,
  kind: EditionKind,
  log: Logger,
): Promise<void> {
  const startedAt = performance.now()
  const record = (tx: TransactionSql) =>
    tx.unsafe(
      'insert into migration (number, name, sha256, edition, took_s) values ($1, $2, $3, $4, $5)',
      [file.number, file.name, file.sha256, kind, (performance.now() - startedAt) / 1000],
    )
  try {
    if (file.inTransaction) {
      await lease.store.begin(op, async (tx) => {
        await tx.unsafe(file.text)
        await record(tx)
      })
    } else {
      for (const statement of splitStatements(file)) {
        await lease.assertHeld()
        await lease.reader.ask(op, (sql) => sql.unsafe(statement))
      }
      await lease.store.begin(op, record)
    }
  } catch (error) {
    throw failed(file, error)
  }
  const tookMs = Math.round(performance.now() - startedAt)
  log.info({ migration: file.name, took_ms: tookMs }, 'migration applied')
}

/** The remedy where an operator can act; otherwise the file, with PostgreSQL's own message. */
function failed(file: MigrationFile, error: unknown): unknown {
  const known = explainError(error)
  const cause = error instanceof AppError ? error.cause : error
  if (known instanceof AppError && codeFromError(cause) !== '42P01') return known
  const why = cause instanceof Error ? cause.message : String(cause)
  const kept = file.inTransaction
    ? 'nothing of it was kept'
    : 'its statements before the failure were kept'
  return new AppError('conflict', `the migration ${file.name} failed: ${why}; ${kept}`, {
    cause,
  })
}

const op = { operation: 'migrate', table: 'none' }

const conflict = (why: string) => new AppError('conflict', why)
