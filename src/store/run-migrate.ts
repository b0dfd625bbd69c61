import { AppError } from '../core/errors.ts'
import { createLog } from '../platform/log.ts'
import { printLine } from '../platform/stdout.ts'
import { migrate } from './migrate.ts'

/**
 * `wafermon migrate`: applies the missing migrations and prints their names. It may be run again at
 * any time.
 *
 * @throws AppError with the remedy when the database cannot be migrated
 */
export async function runMigrate({ url, json }: { url: string; json: boolean }): Promise<void> {
  // Progress goes to standard error, so that --json has standard output to itself.
  const destination = { write: (line: string) => void process.stderr.write(line) }
  const log = createLog({ service: 'migrate', level: 'info', json, destination })
  try {
    const { applied, edition } = await migrate(url, log)
    const text =
      applied.length === 0 ? 'the database is up to date' : `applied ${applied.join(', ')}`
    await printLine(json ? JSON.stringify({ applied, edition }) : text)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, `wafermon migrate: ${error.message}${describeAddress(url)}`)
  }
}

/** Where the database is, without the password. */
function describeAddress(url: string): string {
  if (!URL.canParse(url)) return ''
  const { host, pathname, searchParams } = new URL(url)
  return `\n  DATABASE_URL names the database ${pathname.slice(1)} at ${searchParams.get('host') ?? host}`
}
