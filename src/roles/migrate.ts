import { AppError } from '../core/errors.ts'
import { ConfigError } from '../platform/config.ts'
import { createLog } from '../platform/log.ts'
import { printLine } from '../platform/stdout.ts'
import { migrate } from '../store/migrate.ts'

/**
 * Applies what is missing and prints what it was. Run it again at any time: it does nothing then.
 *
 * @throws ConfigError when there is no address
 * @throws AppError with what to do when the database cannot be migrated
 */
export async function runMigrate({ url, json }: { url: string | undefined; json: boolean }) {
  if (!url) throw new ConfigError('DATABASE_URL: not set; give it, or --database-url')
  // Progress goes to standard error, so that --json has standard output to itself.
  const destination = { write: (line: string) => void process.stderr.write(line) }
  const log = createLog({ service: 'migrate', level: 'info', json, destination })
  try {
    const { applied, edition } = await migrate(url, log)
    const text =
      applied.length === 0
        ? 'nothing to do, the database is up to date'
        : `applied ${applied.join(', ')}`
    await printLine(json ? JSON.stringify({ applied, edition }) : text)
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    throw new AppError(error.code, `wafermon migrate: ${error.message}${placeOf(url)}`)
  }
}

/** Where the database is, without the password. */
function placeOf(url: string): string {
  if (!URL.canParse(url)) return ''
  const { host, pathname, searchParams } = new URL(url)
  return `\n  DATABASE_URL names the database ${pathname.slice(1)} at ${searchParams.get('host') ?? host}`
}
