import { join, resolve } from 'node:path'
import { claimPorts } from '../../platform/free-ports.ts'
import { rotate } from '../../platform/log-rotation.ts'
import type { RoleContext } from '../../platform/role.ts'
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
import { lockFolder, makeFolder } from './folder.ts'
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

export type UpReady = { url: string; dir: string; ports: UpPorts; tokens: UpTokens }

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
  const watched = await startRoles(
    supervisor,
    { dir, site: config.site, ports, databaseUrl, tokens, env },
    config,
  )
  watchRoles(watched, log, life.signal)
  return { url: `http://127.0.0.1:${ports.web}`, dir, ports, tokens }
}

async function startRoles(supervisor: Supervisor, layout: UpLayout, config: UpConfig) {
  const roles = roleChildren(layout)
  const starting = Promise.all(roles.map((role) => supervisor.start(role)))
  const urls = await slowly('starting the roles', starting, config.onSlow)
  if (config.simulate) await supervisor.start(simulatorChild(layout))
  return roles.map(({ name }, i) => ({ name, url: urls[i] ?? '' }))
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
