import { Command } from 'commander'
import { addArchive } from './commands/archive.ts'
import { addConfig } from './commands/config.ts'
import { addMigrate } from './commands/migrate.ts'
import { addReplay } from './commands/replay.ts'
import { addRoles } from './commands/roles.ts'
import { addSimulate } from './commands/simulate.ts'
import { addSpool } from './commands/spool.ts'
import { addToken } from './commands/token.ts'
import { addUp } from './commands/up.ts'
import { AppError } from './core/errors.ts'
import { version } from './platform/version.ts'

const program = new Command('wafermon')
  .description('Monitoring of the batch work in semiconductor fabs. A role per subcommand.')
  .version(version)

addRoles(program)
addArchive(program)
addMigrate(program)
addConfig(program)
addToken(program)
addUp(program)
addSimulate(program)
addReplay(program)
addSpool(program)

tellHelp(program, 'wafermon')

try {
  await program.parseAsync()
} catch (error) {
  process.exitCode = await tellFailure(error)
  if (process.channel) process.disconnect?.()
}

/** A usage that is wrong names the command whose help has the remedy, and ends with 2. */
function tellHelp(command: Command, path: string): void {
  command.showHelpAfterError(`(${path} --help tells more)`)
  command.exitOverride(({ exitCode }) => process.exit(exitCode === 0 ? 0 : 2))
  for (const sub of command.commands) tellHelp(sub, `${path} ${sub.name()}`)
}

/** @returns the exit code: 2 for what the caller has to put right, 1 for what went wrong elsewhere */
async function tellFailure(error: unknown): Promise<number> {
  const { ConfigError } = await import('./platform/config.ts')
  if (!(error instanceof ConfigError || error instanceof AppError)) throw error
  process.stderr.write(`${error.message}\n`)
  return error instanceof ConfigError ? 2 : 1
}
