import { type Command, Option } from 'commander'
import type { ConfigOf, RoleName } from '../platform/config.ts'
import type { RoleContext, RoleReady } from '../platform/role.ts'

type RoleFlags = { config?: string; host?: string; port?: string; insecure?: boolean }
type Start<R extends RoleName> = (
  config: ConfigOf<R>,
  context: RoleContext & { insecure: boolean },
) => Promise<RoleReady>

/** Adds a subcommand for each role. */
export function addRoles(program: Command): void {
  addRole(
    program,
    'sidecar',
    'takes events over HTTP, keeps them on disk, forwards them',
    async () => {
      return (await import('../roles/sidecar.ts')).startSidecar
    },
  )
  addRole(
    program,
    'local-api',
    'stores the events of a site, answers queries, streams',
    async () => {
      return (await import('../roles/local-api.ts')).startLocalApi
    },
  )
  addRole(program, 'archiver', 'writes closed hours to the archive as Parquet', async () => {
    return (await import('../roles/archiver.ts')).startArchiver
  })
  addRole(program, 'central', 'answers for many sites at once', async () => {
    return (await import('../roles/central.ts')).startCentral
  })
  addRole(program, 'web', 'shows the dashboard of one site, or of all of them', async () => {
    return (await import('../roles/web.ts')).startWeb
  })
}

/** A role: reads its settings, starts, tells its parent (if it has one) that it is ready. */
function addRole<R extends RoleName>(
  program: Command,
  name: R,
  description: string,
  load: () => Promise<Start<R>>,
) {
  program
    .command(name)
    .description(description)
    .option('--config <file>', 'settings as YAML, NAME: value a line (or WAFERMON_CONFIG)')
    .option('--host <address>', 'address to listen on (HOST)')
    .option('--port <number>', 'port to listen on (PORT)')
    .addOption(new Option('--insecure', 'listen beyond loopback without tokens'))
    .action(async (flags: RoleFlags) => {
      // Not at the top: `--help` would wait for all that they bring.
      const { readConfig } = await import('../platform/config.ts')
      const { runRole } = await import('../platform/run-role.ts')
      const settings = readConfig(name, {
        env: process.env,
        file: flags.config,
        flags: { HOST: flags.host, PORT: flags.port },
      })
      await runRole(name, settings, flags.insecure ?? false, await load())
    })
}
