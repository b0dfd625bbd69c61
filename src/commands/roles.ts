import type { Command } from 'commander'
import type { Start } from '../platform/run-role.ts'
import type { ConfigOf, RoleName } from '../roles/settings.ts'
import { type ConfigFlags, configOption, settingOption } from './options.ts'

type Flags = ConfigFlags & { host?: string; port?: string; insecure?: boolean }

type RoleCommand<R extends RoleName> = { does: string; load: () => Promise<Start<ConfigOf<R>>> }

const commands: { [R in RoleName]: RoleCommand<R> } = {
  sidecar: {
    does: 'takes events over HTTP, keeps them on disk, forwards them',
    load: async () => (await import('../roles/sidecar.ts')).startSidecar,
  },
  'local-api': {
    does: 'stores the events of a site, answers queries, streams changes',
    load: async () => (await import('../roles/local-api.ts')).startLocalApi,
  },
  archiver: {
    does: 'writes closed days to the archive as Parquet',
    load: async () => (await import('../roles/archiver.ts')).startArchiver,
  },
  central: {
    does: 'answers queries over many sites',
    load: async () => (await import('../roles/central.ts')).startCentral,
  },
  web: {
    does: 'serves the dashboard of one site, or of all sites',
    load: async () => (await import('../roles/web.ts')).startWeb,
  },
}

/** Adds a subcommand for each role. */
export function addRoles(program: Command): void {
  for (const name of Object.keys(commands) as RoleName[]) addRole(program, name)
}

/** A role: reads its settings, starts, tells its parent (if it has one) that it is ready. */
function addRole<R extends RoleName>(program: Command, name: R): void {
  const { does, load }: RoleCommand<R> = commands[name]
  program
    .command(name)
    .description(does)
    .addOption(configOption())
    .addOption(settingOption('--host <address>', 'address to listen on', 'HOST'))
    .addOption(settingOption('--port <number>', 'port to listen on', 'PORT'))
    .option('--insecure', 'listen beyond loopback without tokens')
    .addHelpText(
      'after',
      `\nEverything else is a setting, in the environment or in a file. docs/configuration.md explains them;\nwafermon config show --role ${name} lists them with their values.`,
    )
    .action(async ({ config: file, host, port, insecure }: Flags) => {
      // Not at the top: `--help` would wait for everything that they load.
      const { readConfig } = await import('../roles/settings.ts')
      const { runRole } = await import('../platform/run-role.ts')
      const flags = { HOST: host, PORT: port }
      const read = () => readConfig(name, { env: process.env, file, flags })
      await runRole(name, read, insecure ?? false, await load())
    })
}
