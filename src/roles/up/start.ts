import { join, resolve } from 'node:path'
import { must } from '../../core/must.ts'
import { claimPorts } from '../../platform/free-ports.ts'
import { rotate } from '../../platform/log-rotation.ts'
import type { RoleContext } from '../../platform/role.ts'
import type { ChildSpec } from '../../platform/supervised-child.ts'
import { Supervisor } from '../../platform/supervisor.ts'
import { migrate } from '../../store/migrate.ts'
import {
  databaseChild,
  ignoredSettings,
  roleChildren,
  simulatorChild,
  type UpLayout,
  type UpPorts,
} from './children.ts'
import { isNewFolder, isSimulated, lockFolder, makeFolder, noteSimulated } from './folder.ts'
import { openTokens, type UpTokens } from './tokens.ts'
import { watchRoles } from './watch.ts'

export type UpConfig = {
  /** The state directory. */
  dir: string
  site: string
  simulate: boolean
  /** 0 chooses a free port. */
  ports: UpPorts
  /** The command that runs this program: options of Node.js and the file. */
  program: readonly string[]
  env: NodeJS.ProcessEnv
  /** Called every second with how long a step has taken so far. */
  onSlow: (what: string, seconds: number) => void
  /** Called once the directory is locked. */
  onOwned: (dir: string) => void
}

export type UpReady = {
  url: string
  dir: string
  ports: UpPorts
  tokens: UpTokens
  /** The folder has simulated jobs. */
  simulated: boolean
}

/** Time for a role to finish its work when everything is stopped, in milliseconds. */
const stopPatienceMs = 12_000
/** Stopped one group after the other: senders before receivers, the database last. */
const stopOrder = [
  ['simulator'],
  ['sidecar'],
  ['web', 'web-central'],
  ['central', 'archiver'],
  ['local-api'],
  ['embedded-postgres'],
]

/**
 * Every role on this machine, each in a process of its own, on an embedded PostgreSQL and a folder
 * for the archive. A process that crashes is started again.
 *
 * @returns the address of the dashboard, and the ports in use
 * @throws AppError `conflict` when another `up` uses the directory (names its process), or a port is
 * in use (names its flag); nothing has been started then
 */
export async function startUp(
  config: UpConfig,
  { log, life }: Pick<RoleContext, 'log' | 'life'>,
): Promise<UpReady> {
  const dir = resolve(config.dir)
  const { program, env, onSlow } = config
  makeFolder(dir)
  const lock = lockFolder(dir)
  life.onStop('lock', lock.release)
  config.onOwned(dir)
  const tokens = openTokens(dir, env.TOKENS_FILE, log)
  life.onStop('tokens', tokens.close)
  const settings = ignoredSettings(env)
  if (settings.length > 0) log.warn({ settings }, 'these settings have no effect under `up`')
  const recordFile = join(dir, 'up.children')
  const supervisor = new Supervisor({ program, log, recordFile })
  const clearing = supervisor.clearLeftovers(stopPatienceMs)
  await slowly('waiting for an earlier run to end', clearing, onSlow)
  const ports = await claimAll(config.ports)
  // Asked to stop meanwhile: what is started from here on, nobody would end.
  life.signal.throwIfAborted()
  const withPast = config.simulate && isNewFolder(dir)
  if (config.simulate) noteSimulated(dir)
  const simulated = isSimulated(dir)

  // Only its own process can end the server: that one is asked, not killed.
  life.onForcedEnd(() => supervisor.kill(['embedded-postgres']))
  life.onStop('all roles', () => stopAll(supervisor))
  life.onStop('log rotation', rotateLogs(join(dir, 'logs')))
  const databaseUrl = await slowly(
    'preparing the database',
    supervisor.start(databaseChild(dir, env)),
    onSlow,
  )
  await slowly('bringing the tables up to date', migrate(databaseUrl, log), onSlow)
  const layout = { dir, site: config.site, ports, databaseUrl, tokens, env, simulated }
  if (withPast) await startWithPast(supervisor, layout, config, { log, life })
  else await startRoles(supervisor, roleChildren(layout), onSlow)
  const watched = Object.entries(ports).map(([name, port]) => ({
    name,
    url: `http://127.0.0.1:${port}`,
  }))
  watchRoles(watched, log, life.signal)
  if (config.simulate) await supervisor.start(simulatorChild(layout))
  return { url: `http://127.0.0.1:${ports.web}`, dir, ports, tokens, simulated }
}

async function startRoles(
  supervisor: Supervisor,
  roles: readonly ChildSpec[],
  onSlow: UpConfig['onSlow'],
) {
  const starting = Promise.all(roles.map((role) => supervisor.start(role)))
  await slowly('starting the roles', starting, onSlow)
}

/** The first start of the simulated fab; see first-start.ts. */
async function startWithPast(
  supervisor: Supervisor,
  layout: UpLayout,
  { onSlow }: UpConfig,
  { log, life }: Pick<RoleContext, 'log' | 'life'>,
): Promise<void> {
  const { fillClosedHour, fillLastDay } = await import('./first-start.ts')
  const roles = roleChildren(layout)
  const role = (wanted: string) =>
    must(
      roles.find(({ name }) => name === wanted),
      'it is among the roles',
    )
  const context = { layout, log, signal: life.signal }
  const [localApi, sidecar] = [role('local-api'), role('sidecar')]
  const filling = fillClosedHour({ supervisor, localApi, sidecar }, context)
  await slowly('simulating a past', filling, onSlow)
  life.signal.throwIfAborted()
  // The archiver comes after the local API, whose start closes the hour.
  await startRoles(supervisor, [localApi], onSlow)
  life.signal.throwIfAborted()
  const rest = roles.filter((one) => one !== localApi && one !== sidecar)
  await startRoles(supervisor, rest, onSlow)
  const day = fillLastDay(context)
  life.onStop('simulated past', () => day)
}

async function claimAll(wanted: UpPorts): Promise<UpPorts> {
  const names = Object.keys(wanted) as (keyof UpPorts)[]
  const flagOf = (name: string) => `--${name === 'web-central' ? 'central-web' : name}-port`
  const got = await claimPorts(names.map((name) => ({ flag: flagOf(name), port: wanted[name] })))
  return Object.fromEntries(names.map((name, i) => [name, got[i]])) as UpPorts
}

async function stopAll(supervisor: Supervisor): Promise<void> {
  for (const group of stopOrder) {
    await Promise.all(group.map((name) => supervisor.stop(name, stopPatienceMs)))
  }
}

function rotateLogs(folder: string): () => void {
  const names = ['up', ...stopOrder.flat()]
  const look = () => {
    for (const name of names) rotate(join(folder, `${name}.log`))
  }
  const timer = setInterval(look, 10_000)
  return () => clearInterval(timer)
}

/** Waits for `work`, and reports every second how long it has taken. */
async function slowly<T>(what: string, work: Promise<T>, onSlow: UpConfig['onSlow']): Promise<T> {
  let seconds = 0
  const timer = setInterval(() => onSlow(what, ++seconds), 1000)
  try {
    return await work
  } finally {
    clearInterval(timer)
  }
}
