import { AppError } from '../core/errors.ts'
import { codeFromError } from './database-error.ts'
import type { Sql, TransactionSql } from './driver.ts'

export type EditionKind = 'plain' | 'timescale'

/** The abilities of a database beyond PostgreSQL. */
export type Edition = {
  kind: EditionKind
  /** `tsl`: with compression, continuous aggregates and policies; `apache`: without them. */
  licence: 'tsl' | 'apache' | null
  /** Of the TimescaleDB extension. */
  version: string | null
}

/**
 * The edition of a database: the one its migrations recorded, else the one it is now.
 *
 * @throws AppError conflict, when it was migrated as TimescaleDB and the extension is gone, or it was used under
 * the Timescale licence and that is gone
 */
export async function readEdition(sql: Sql): Promise<Edition> {
  const recorded = await recordedEdition(sql)
  const version = await extensionVersion(sql)
  if (recorded === 'plain' || (recorded === undefined && version === null)) {
    return { kind: 'plain', licence: null, version: null }
  }
  if (version === null) {
    throw new AppError(
      'conflict',
      'the database was created with TimescaleDB, but the extension is gone; install it again (create extension timescaledb)',
    )
  }
  const licence = await readLicence(sql)
  if (licence === 'apache') await refuseLostLicence(sql)
  return { kind: 'timescale', licence, version }
}

/** Continuous aggregates stay as they were once their licence is gone: they would show old counts as new ones. */
async function refuseLostLicence(sql: Sql): Promise<void> {
  const [row] = await sql<{ isView: boolean | null }[]>`
    /* edition.isLicensed */
    select (select relkind = 'v' from pg_class where oid = to_regclass('job_stats_daily')) as is_view`
  if (!row?.isView) return
  throw new AppError(
    'conflict',
    `the database was used under the Timescale licence, and its rollups and compressed events need it; set timescaledb.license = 'timescale' in postgresql.conf and restart the server`,
  )
}

/** The edition that the first migration chose; undefined before it ran. */
export async function recordedEdition(sql: Sql): Promise<EditionKind | undefined> {
  const [found] = await sql<{ there: boolean }[]>`
    /* edition.hasMigrations */ select to_regclass('migration') is not null as there`
  if (!found?.there) return undefined
  const [row] = await sql<{ edition: EditionKind }[]>`
    /* edition.recorded */ select edition from migration order by number limit 1`
  return row?.edition
}

async function extensionVersion(sql: Sql): Promise<string | null> {
  const [row] = await sql<{ extversion: string }[]>`
    /* edition.version */ select extversion from pg_extension where extname = 'timescaledb'`
  return row?.extversion ?? null
}

/**
 * Creates the extension where the server has it and the user may. Its settings show that it was
 * loaded at the server's start: without that `create extension` ends the connection.
 *
 * @returns the edition that the database has then
 */
export async function makeExtension(sql: Sql): Promise<EditionKind> {
  if ((await extensionVersion(sql)) !== null) return 'timescale'
  const [can] = await sql<{ can: boolean }[]>`
    /* edition.available */
    select exists (select from pg_available_extensions where name = 'timescaledb')
       and exists (select from pg_settings where name like 'timescaledb.%') as can`
  if (!can?.can) return 'plain'
  try {
    await sql`/* edition.create */ create extension if not exists timescaledb`
    return 'timescale'
  } catch (error) {
    // 42501: we may not. 0A000, 55000, 58P01: it cannot be loaded here.
    if (/^(42501|0A000|55000|58P01)$/.test(codeFromError(error) ?? '')) return 'plain'
    throw error
  }
}

class Undo extends Error {}

/**
 * The licence that is in force. Its functions exist under both, and the setting can be wrong. So one
 * that only works under the Timescale licence is called, on an argument that it must refuse, in a
 * transaction that is always rolled back.
 */
async function readLicence(sql: Sql): Promise<'tsl' | 'apache'> {
  let licence: 'tsl' | 'apache' = 'tsl'
  try {
    await sql.begin(async (tx) => {
      licence = await probe(tx as unknown as TransactionSql)
      throw new Undo()
    })
  } catch (error) {
    if (!(error instanceof Undo)) throw error
  }
  return licence
}

async function probe(tx: TransactionSql): Promise<'tsl' | 'apache'> {
  try {
    await tx.savepoint(
      (inner) => inner`
      /* edition.probe */ select compress_chunk('pg_catalog.pg_class'::regclass)`,
    )
    return 'tsl'
  } catch (error) {
    const text = error instanceof Error ? error.message : ''
    const refused = codeFromError(error) === '0A000' && /licen[cs]e/i.test(text)
    const missing = /could not access file/.test(text)
    return refused || missing ? 'apache' : 'tsl'
  }
}
