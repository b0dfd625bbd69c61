import { Command, Option } from 'commander'
import { addArchive } from './archive/command.ts'
import { AppError } from './core/errors.ts'
import type { ConfigOf, RoleName } from './platform/config.ts'
import type { RoleContext, RoleReady } from './platform/role.ts'
import { version } from './platform/version.ts'
import { addMigrate } from './roles/migrate-command.ts'
import { addUp } from './roles/up-command.ts'
import { addConfig } from './tools/config-command.ts'
import { addReplay } from './tools/replay/command.ts'
import { addSimulate } from './tools/simulate/command.ts'
import { addSpool } from './tools/spool/command.ts'
import { addToken } from './tools/token-command.ts'

type RoleFlags = { config?: string; host?: string; port?: string; insecure?: boolean }
type Start<R extends RoleName> = (
  config: ConfigOf<R>,
  context: RoleContext & { insecure: boolean },
) => Promise<RoleReady>

const program = new Command('wafermon')
  .description('Monitoring of the batch work in semiconductor fabs. A role per subcommand.')
  .version(version)

role('sidecar', 'takes events over HTTP, keeps them on disk, forwards them', async () => {
  return (await import('./roles/sidecar.ts')).startSidecar
})
role('local-api', 'stores the events of a site, answers queries, streams', async () => {
  return (await import('./roles/local-api.ts')).startLocalApi
})
role('archiver', 'writes closed hours to the archive as Parquet', async () => {
  return (await import('./roles/archiver.ts')).startArchiver
})
role('central', 'answers for many sites at once', async () => {
  return (await import('./roles/central.ts')).startCentral
})
role('web', 'shows the dashboard of one site, or of all of them', async () => {
  return (await import('./roles/web.ts')).startWeb
})

addArchive(program)
addMigrate(program)
addConfig(program)
addToken(program)
addUp(program)
addSimulate(program)
addReplay(program)
addSpool(program)

/** A role: reads its settings, starts, tells its parent (if it has one) that it is ready. */
function role<R extends RoleName>(name: R, description: string, load: () => Promise<Start<R>>) {
  program
    .command(name)
    .description(description)
    .option('--config <file>', 'settings as YAML, NAME: value a line (or WAFERMON_CONFIG)')
    .option('--host <address>', 'address to listen on (HOST)')
    .option('--port <number>', 'port to listen on (PORT)')
    .addOption(new Option('--insecure', 'listen beyond loopback without tokens'))
    .action(async (flags: RoleFlags) => {
      // Not at the top: `--help` would wait for all that they bring.
      const { readConfig } = await import('./platform/config.ts')
      const { runRole } = await import('./platform/run-role.ts')
      const settings = readConfig(name, {
        env: process.env,
        file: flags.config,
        flags: { HOST: flags.host, PORT: flags.port },
      })
      await runRole(name, settings, flags.insecure ?? false, await load())
    })
}

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
