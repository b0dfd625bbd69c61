import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import type { Logger } from 'pino'
import type { Lifecycle } from '../platform/lifecycle.ts'
import { siteOption } from '../tools/sidecar.ts'
import type { UpReady } from './up.ts'

type UpFlags = {
  dir: string
  site: string
  simulate: boolean
  sidecarPort: number
  localApiPort: number
  archiverPort: number
  centralPort: number
  webPort: number
  centralWebPort: number
}

/** Seconds for all roles to stop, one group after the other. */
const stopTimeoutS = 90

/** Adds `wafermon up`, and the hidden command that runs its database. */
export function addUp(program: Command): void {
  program
    .command('up')
    .description('runs everything on this machine, with a database of its own and a simulated fab')
    .option('--dir <folder>', 'where everything is kept', toFolder, defaultDir(process.env))
    .addOption(siteOption())
    .option('--no-simulate', 'start without the simulated fab')
    .option('--sidecar-port <number>', 'port of the sidecar', toPort, 8000)
    .option('--local-api-port <number>', 'port of the local API', toPort, 18_000)
    .option('--archiver-port <number>', 'port of the archiver', toPort, 18_100)
    .option('--central-port <number>', 'port of the central API', toPort, 19_000)
    .option('--web-port <number>', 'port of the dashboard', toPort, 8501)
    .option('--central-web-port <number>', 'port of the dashboard of all sites', toPort, 8502)
    .action(runUp)
  program
    .command('embedded-postgres', { hidden: true })
    .requiredOption('--dir <folder>')
    .action(runEmbeddedPostgres)
}

/** Root keeps it where services do; others in their own state directory. */
export function defaultDir(env: NodeJS.ProcessEnv, root = process.getuid?.() === 0): string {
  if (root) return '/var/lib/wafermon'
  return join(env.XDG_STATE_HOME || join(homedir(), '.local/state'), 'wafermon')
}

async function runUp(flags: UpFlags): Promise<void> {
  const dir = resolve(flags.dir)
  const { upLog } = await import('./up-log.ts')
  const { log, keepIn } = upLog()
  const life = await lifeWith(log)
  life.stopOnSignal(stopTimeoutS)
  const { startUp } = await import('./up.ts')
  const ports = {
    sidecar: flags.sidecarPort,
    'local-api': flags.localApiPort,
    archiver: flags.archiverPort,
    central: flags.centralPort,
    web: flags.webPort,
    'web-central': flags.centralWebPort,
  }
  const program = [...process.execArgv, process.argv[1] ?? '']
  const onSlow = (what: string, seconds: number) => {
    if (seconds === 1 || seconds % 5 === 0) process.stderr.write(`${what}, ${seconds} s\n`)
  }
  const { site, simulate } = flags
  await startOrTell(life, async () => {
    const onOwned = () => keepIn(join(dir, 'logs/up.log'))
    const up = { dir, site, simulate, ports, program, env: process.env, onSlow, onOwned }
    const ready = await startUp(up, { log, life })
    process.stdout.write(whereToLook(ready))
    process.send?.({ ready: true, url: ready.url })
  })
}

async function runEmbeddedPostgres({ dir }: { dir: string }): Promise<void> {
  const { createLog } = await import('../platform/log.ts')
  const log = createLog({ service: 'embedded-postgres', level: 'debug', json: true })
  const life = await lifeWith(log)
  life.stopOnSignal(40)
  const { startEmbeddedPostgres } = await import('./embedded-postgres.ts')
  await startOrTell(life, async () => {
    const { url } = await startEmbeddedPostgres({ dir }, { log, life })
    process.send?.({ ready: true, url })
  })
}

/** Loaded when it is needed: what every command loads at its start, `--help` waits for. */
async function lifeWith(log: Logger): Promise<Lifecycle> {
  const { Lifecycle } = await import('../platform/lifecycle.ts')
  return new Lifecycle(log)
}

/** Takes down again what was up when a start fails, and says why in a sentence. */
async function startOrTell(life: Lifecycle, start: () => Promise<void>): Promise<void> {
  try {
    await start()
  } catch (error) {
    const asked = life.signal.aborted
    await life.stop(stopTimeoutS)
    // Stopped while it was starting: not a failure.
    if (asked) return
    if (!(error instanceof Error)) throw error
    process.stderr.write(`wafermon: ${error.message}\n`)
    process.exitCode = 1
  }
}

function whereToLook({ url, dir, ports }: UpReady): string {
  const at = (port: number) => `http://127.0.0.1:${port}`
  const lines = [
    ['dashboard', url],
    ['all sites', at(ports['web-central'])],
    ['send events', `${at(ports.sidecar)}  (SIDECAR_URL)`],
    ['ask', `${at(ports['local-api'])}/docs`],
    ['kept in', `${dir}  (logs in ${join(dir, 'logs')})`],
    ['stop', 'Ctrl-C'],
  ]
  return lines.map(([what = '', where]) => `  ${what.padEnd(12)} ${where}\n`).join('')
}

/** An empty `$DIR` of a script would be the folder it happens to run in. */
function toFolder(text: string): string {
  if (text.trim() !== '') return text
  throw new InvalidArgumentError('must be a folder; leave --dir out for the usual one')
}

function toPort(text: string): number {
  const port = Number(text)
  if (/^\d+$/.test(text) && port <= 65_535) return port
  throw new InvalidArgumentError('must be a port, 0 to 65535 (0 takes a free one)')
}
