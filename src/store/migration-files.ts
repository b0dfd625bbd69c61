import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { AppError } from '../core/errors.ts'
import type { EditionKind } from './edition.ts'

/*
 * The files of `sql/migrations/`, named `NNNN_name.sql`, and which databases a file is for:
 *
 *   NNNN_name.sql             every database
 *   NNNN_name.plain.sql       PostgreSQL without TimescaleDB
 *   NNNN_name.timescale.sql   TimescaleDB, under either licence
 *   NNNN_name.tsl.sql         TimescaleDB while it runs under the Timescale licence (compression,
 *                             continuous aggregates, policies)
 *
 * The licence of a database may change, its edition never does. So a `.tsl` file is applied when the
 * licence is there, be it after files of higher numbers, and no other file may need it.
 */

/** One file of `sql/migrations/`. */
export type MigrationFile = {
  /** From 1, unique within an edition. */
  number: number
  /** The file's name without `.sql`. */
  name: string
  text: string
  sha256: string
  /** True: the file is sent whole, in a transaction. False: its statements one by one. */
  inTransaction: boolean
  /** Only for a database under the Timescale licence. */
  licensed: boolean
}

const namePattern = /^(\d{4})_([a-z0-9_]+)(?:\.(plain|timescale|tsl))?\.sql$/

/**
 * The files of an edition in the order of their numbers, licensed ones included whatever the licence.
 *
 * @throws AppError conflict, when two files have one number or a name is of another form
 */
export async function readMigrationFiles(
  edition: EditionKind,
  folder = migrationsFolder(),
): Promise<MigrationFile[]> {
  const files: MigrationFile[] = []
  for (const file of (await readdir(folder)).sort()) {
    if (!file.endsWith('.sql')) continue
    const [, digits, , only] = namePattern.exec(file) ?? []
    if (!digits) {
      throw conflict(
        `the migration ${file} is not named NNNN_name.sql, with .plain, .timescale or .tsl before .sql`,
      )
    }
    const licensed = only === 'tsl'
    if (only && (licensed ? 'timescale' : only) !== edition) continue
    const number = Number(digits)
    if (files.at(-1)?.number === number) throw conflict(`two migrations are numbered ${digits}`)
    const text = await readFile(new URL(file, folder), 'utf8')
    files.push({ ...toMigration(number, file, text), licensed })
  }
  return files
}

export const migrationsFolder = (): URL => new URL('migrations/', sqlFolder())

/**
 * Where the SQL files are: `sql/` of the source tree, or the copy of it inside `dist/`. A bundle
 * never looks outside its own folder: it would find the checkout's files by luck and miss them
 * once it is installed elsewhere.
 */
function sqlFolder(): URL {
  const fromSource = import.meta.url.endsWith('.ts')
  const places = fromSource ? ['../../sql/'] : ['./sql/', '../sql/']
  for (const place of places) {
    const folder = new URL(place, import.meta.url)
    if (existsSync(fileURLToPath(new URL('migrations/', folder)))) return folder
  }
  throw new Error(
    'the SQL files are missing: the folder sql/ must lie in dist/, beside wafermon.js',
  )
}

function toMigration(number: number, file: string, text: string) {
  return {
    number,
    name: file.slice(0, -'.sql'.length),
    text,
    sha256: createHash('sha256').update(text).digest('hex'),
    inTransaction: !text.startsWith('-- no transaction'),
  }
}

/**
 * The statements of a file that must run outside a transaction: each ends with a semicolon at the
 * end of a line.
 */
export function splitStatements({ name, text }: MigrationFile): string[] {
  if (text.includes('$$')) {
    throw conflict(`${name}: a file without transaction cannot define functions; split it`)
  }
  return text
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement.replaceAll(/--.*$/gm, '').trim() !== '')
}

const conflict = (why: string) => new AppError('conflict', why)
