import { execFileSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { connect, type Store } from '../../src/store/connect.ts'
import { freshDatabase } from '../support/database.ts'
import { freePort, freshFolder, type Running, startRole } from '../support/processes.ts'
import { type Proxy as Relay, startProxy } from '../support/tcp-proxy.ts'
import { type MovableClock, movableClock, movableDatabaseClock } from './clocks.ts'

/*
 * A site as an operator runs it: three sidecars, each with a disk of its own, two local APIs on one
 * database, and a network between all of them that can be made bad.
 */

type After = { after(end: () => unknown): void }

/** A process that comes back on its port whenever it was killed. */
export class Role {
  readonly name: string
  readonly #start: () => Promise<Running>
  #running: Running | undefined

  constructor(name: string, start: () => Promise<Running>) {
    this.name = name
    this.#start = start
  }

  get running(): Running {
    if (!this.#running) throw new Error(`${this.name} is not running`)
    return this.#running
  }

  async start(): Promise<void> {
    this.#running = await this.#start()
  }

  async kill9(): Promise<void> {
    await this.running.kill9()
  }

  /** Stops it without ending it, as a debugger or a frozen virtual machine does. */
  pause(): void {
    this.running.child.kill('SIGSTOP')
  }

  resume(): void {
    this.running.child.kill('SIGCONT')
  }
}

export type SidecarUnit = {
  role: Role
  /** Where programs reach it. */
  url: string
  /** Between programs and it. */
  door: Relay
  /** Between it and its local API. */
  uplink: Relay
  spoolDir: string
  /** Its disk, when it has one of its own. */
  disk: string | undefined
  clock: MovableClock | undefined
}

export type World = {
  sidecars: readonly SidecarUnit[]
  apis: readonly Role[]
  store: Store
  moveDatabaseClock(seconds: number): Promise<void>
}

const diskMib = 160

export async function startWorld(t: After): Promise<World> {
  const { url } = await freshDatabase(t)
  const moveDatabaseClock = await movableDatabaseClock(url)
  const store = connect(url, { role: 'chaos', max: 2 })
  t.after(() => store.close())
  const apis = [await startApi(t, 'local API 1', url), await startApi(t, 'local API 2', url)]
  const sidecars: SidecarUnit[] = []
  for (const i of [0, 1, 2]) {
    const api = apis[i % apis.length] as Role
    sidecars.push(await startSidecar(t, `sidecar ${i + 1}`, api.running.url))
  }
  return { sidecars, apis, store, moveDatabaseClock }
}

async function startApi(t: After, name: string, url: string): Promise<Role> {
  const port = String(await freePort())
  const role = new Role(name, () =>
    startRole(t, 'local-api', { DATABASE_URL: url, PORT: port, LOG_LEVEL: 'warn' }),
  )
  await role.start()
  return role
}

async function startSidecar(t: After, name: string, api: string): Promise<SidecarUnit> {
  const uplink = await startProxy(t, api)
  const folder = freshFolder()
  const disk = mountDisk(t, folder)
  const spoolDir = join(disk ?? folder, 'spool')
  mkdirSync(spoolDir, { mode: 0o700 })
  const clock = movableClock(folder === disk ? freshFolder() : folder)
  const port = String(await freePort())
  const env = {
    PORT: port,
    SPOOL_DIR: spoolDir,
    LOCAL_API_BASE: uplink.url,
    LOG_LEVEL: 'warn',
    DRAIN_INTERVAL_S: '0.2',
    REQUEST_TIMEOUT_S: '5',
    ...clock?.env,
  }
  const role = new Role(name, () => startRole(t, 'sidecar', env))
  await role.start()
  const door = await startProxy(t, role.running.url)
  return { role, url: door.url, door, uplink, spoolDir, disk, clock }
}

/** A small disk in memory. @returns undefined without the right to mount one */
function mountDisk(t: After, folder: string): string | undefined {
  if (process.getuid?.() !== 0) return undefined
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${diskMib}m`, 'tmpfs', folder])
  t.after(() => execFileSync('umount', ['-l', folder]))
  return folder
}
