import { Command } from 'commander'
import { addArchive } from './commands/archive.ts'
import { addConfig } from './commands/config.ts'
import { addDb } from './commands/db.ts'
import { addImport } from './commands/import.ts'
import { addJobs } from './commands/jobs.ts'
import { addMigrate } from './commands/migrate.ts'
import { addReplay } from './commands/replay.ts'
import { addResend } from './commands/resend.ts'
import { addRoles } from './commands/roles.ts'
import { addSimulate } from './commands/simulate.ts'
import { addSources } from './commands/sources.ts'
import { addSpool } from './commands/spool.ts'
import { addToken } from './commands/token.ts'
import { addUp } from './commands/up.ts'
import { AppError, ConfigError } from './core/errors.ts'
import { version } from './platform/version.ts'

const program = new Command('wafermon')
  .description('Monitors batch work in semiconductor fabs. Each role is a subcommand.')
  .version(version)

addRoles(program)
addArchive(program)
addMigrate(program)
addDb(program)
addConfig(program)
addToken(program)
addUp(program)
addSimulate(program)
addReplay(program)
addResend(program)
addImport(program)
addSpool(program)
addSources(program)
addJobs(program)

nameHelp(program, 'wafermon')

// What we say to a person must not end us when the disk below standard error is full.
process.stderr.on('error', () => {})

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = printFailure(error)
  if (process.channel) process.disconnect?.()
}

/** A wrong command line names the command whose help has the remedy, and ends with 2. */
function nameHelp(command: Command, path: string): void {
  command.showHelpAfterError(`(see ${path} --help)`)
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  for (const sub of command.commands) nameHelp(sub, `${path} ${sub.name()}`)
}

/** @returns the exit code: 2 for what the caller must correct, 1 for what went wrong elsewhere */
function printFailure(error: unknown): number {
  if (!(error instanceof ConfigError || error instanceof AppError || isOfSystem(error))) throw error
  process.stderr.write(`${error.message}\n`)
  return error instanceof ConfigError ? 2 : 1
}

/** A full disk, a missing right: the system's own words have the reason and the file. */
function isOfSystem(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && 'code' in error && 'syscall' in error
}
