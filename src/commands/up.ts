import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { UpFlags } from '../roles/up/run.ts'
import { siteOption } from './options.ts'

/** Adds `wafermon up`, and the hidden command that runs its database. */
export function addUp(program: Command): void {
  program
    .command('up')
    .description('runs every role on this machine, with an embedded database and a simulated fab')
    .option('--dir <folder>', 'folder for all data and logs', toFolder, defaultDir(process.env))
    .addOption(siteOption())
    .option('--no-simulate', 'start without the simulated fab')
    .option('--sidecar-port <number>', 'port of the sidecar', toPort, 8000)
    .option('--local-api-port <number>', 'port of the local API', toPort, 18_000)
    .option('--archiver-port <number>', 'port of the archiver', toPort, 18_100)
    .option('--central-port <number>', 'port of the central API', toPort, 19_000)
    .option('--web-port <number>', 'port of the dashboard', toPort, 8501)
    .option('--central-web-port <number>', 'port of the dashboard of all sites', toPort, 8502)
    .addHelpText(
      'after',
      '\nThe settings of all roles count, from the environment (docs/configuration.md), but for those that say where\nsomething is, such as HOST and SPOOL_DIR: those it decides itself, and names what it ignores.',
    )
    .action(async (flags: UpFlags) => (await import('../roles/up/run.ts')).runUp(flags))
  program
    .command('embedded-postgres', { hidden: true })
    .requiredOption('--dir <folder>')
    .action(async (flags: { dir: string }) => {
      await (await import('../roles/up/run.ts')).runEmbeddedPostgres(flags)
    })
}

/** For root the state directory of services, for others their own. */
export function defaultDir(env: NodeJS.ProcessEnv, root = process.getuid?.() === 0): string {
  if (root) return '/var/lib/wafermon'
  return join(env.XDG_STATE_HOME || join(homedir(), '.local/state'), 'wafermon')
}

/** An empty `$DIR` in a script would be the current folder. */
function toFolder(text: string): string {
  if (text.trim() !== '') return text
  throw new InvalidArgumentError('It must name a folder; omit --dir for the default.')
}

function toPort(text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new InvalidArgumentError('It must be a port, 0 to 65535; 0 chooses a free port.')
}
