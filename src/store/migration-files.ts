import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { AppError } from '../core/errors.ts'
import type { EditionKind } from './edition.ts'
import { sqlFolder } from './sql-folder.ts'

/** One file of `sql/migrations/`. */
export type MigrationFile = {
  /** From 1, unique within an edition. */
  number: number
  /** The file's name without `.sql`. */
  name: string
  text: string
  sha256: string
  /** What is sent in one go: the whole file, or its statements one by one. */
  inTransaction: boolean
}

const namePattern = /^(\d{4})_([a-z0-9_]+)(?:\.(plain|timescale))?\.sql$/

/**
 * The files that make up an edition, in the order of their numbers.
 *
 * @throws AppError conflict, when two files have one number or a name is not
 * `NNNN_name[.plain|.timescale].sql`
 */
export async function readMigrationFiles(
  edition: EditionKind,
  folder = new URL('migrations/', sqlFolder()),
): Promise<MigrationFile[]> {
  const files: MigrationFile[] = []
  for (const file of (await readdir(folder)).sort()) {
    if (!file.endsWith('.sql')) continue
    const [, digits, , only] = namePattern.exec(file) ?? []
    if (!digits) throw conflict(`the migration ${file} is not named NNNN_name.sql`)
    if (only && only !== edition) continue
    const number = Number(digits)
    if (files.at(-1)?.number === number) throw conflict(`two migrations are numbered ${digits}`)
    files.push(asMigration(number, file, await readFile(new URL(file, folder), 'utf8')))
  }
  return files
}

function asMigration(number: number, file: string, text: string): MigrationFile {
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
export function statementsOf({ name, text }: MigrationFile): string[] {
  if (text.includes('$$')) {
    throw conflict(`${name}: a file without transaction cannot define functions; split it`)
  }
  return text
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement.replaceAll(/--.*$/gm, '').trim() !== '')
}

const conflict = (why: string) => new AppError('conflict', why)
