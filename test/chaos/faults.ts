import { cpSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { freshFolder, until } from '../support/processes.ts'
import { healthOf } from '../support/site.ts'
import type { Weather } from '../support/tcp-proxy.ts'
import type { Dice } from './random.ts'
import type { SidecarUnit, World } from './world.ts'

/** What can go wrong. It is done, and undone, before the promise resolves. */
export type Fault = {
  name: string
  /** Why it cannot be done here. */
  missing?: string
  run(world: World, dice: Dice): Promise<void>
}

const minute = 60
const day = 86_400

export const toFaults = (world: World): Fault[] => [
  { name: 'sidecar killed (kill -9)', run: (w, dice) => killed(dice.pick(w.sidecars).role, dice) },
  { name: 'local API killed (kill -9)', run: (w, dice) => killed(dice.pick(w.apis), dice) },
  {
    name: 'sidecar stands still (SIGSTOP)',
    run: (w, dice) => paused(dice.pick(w.sidecars).role, dice),
  },
  { name: 'local API stands still (SIGSTOP)', run: (w, dice) => paused(dice.pick(w.apis), dice) },
  {
    name: 'connections of programs are cut',
    run: (w, dice) => badWeather(dice.pick(w.sidecars), 'door', dice),
  },
  {
    name: 'connections of a sidecar to its local API are cut',
    run: (w, dice) => badWeather(dice.pick(w.sidecars), 'uplink', dice),
  },
  {
    name: "a sidecar's disk is full",
    ...(world.sidecars[0]?.disk ? {} : { missing: 'mounting a small disk needs root' }),
    run: (w, dice) => fullDisk(dice.pick(w.sidecars), dice),
  },
  {
    name: 'the clock of a sidecar is moved',
    ...(world.sidecars[0]?.clock ? {} : { missing: 'faketime is not installed' }),
    run: (w, dice) => movedClock(dice.pick(w.sidecars), dice),
  },
  {
    name: 'the clock of the database is moved',
    run: (w, dice) => movedDatabaseClock(w, dice),
  },
  {
    name: "a sidecar's folder goes back in time",
    run: (w, dice) => restoredFolder(dice.pick(w.sidecars), dice),
  },
]

/** One fault at a time for each process: two of them would undo each other's end. */
const busy = new Map<object, Promise<void>>()

async function alone(target: object, work: () => Promise<void>): Promise<void> {
  const before = busy.get(target)
  const now = (async () => {
    await before
    await work()
  })()
  busy.set(
    target,
    now.catch(() => {}),
  )
  await now
}

type Killed = { kill9(): Promise<void>; start(): Promise<void> }

const killed = (role: Killed, dice: Dice) =>
  alone(role, async () => {
    await role.kill9()
    await wait(dice.whole(0, 500))
    await role.start()
  })

const paused = (role: { pause(): void; resume(): void }, dice: Dice) =>
  alone(role, async () => {
    role.pause()
    await wait(dice.whole(300, 4000))
    role.resume()
  })

const weathers = (dice: Dice): Weather =>
  dice.pick<Weather>([
    { kind: 'reset' },
    { kind: 'silent' },
    { kind: 'deaf' },
    { kind: 'slow', ms: 40 },
    { kind: 'cut', of: 'request', after: dice.whole(1, 20_000) },
    { kind: 'cut', of: 'answer', after: dice.whole(1, 300) },
    { kind: 'garbage', bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}' },
  ])

const badWeather = (unit: SidecarUnit, which: 'door' | 'uplink', dice: Dice) =>
  alone(unit[which], async () => {
    // An invented 200 would be taken for an acknowledgment by any program: no fault of ours.
    const found = weathers(dice)
    const weather =
      which === 'door' && found.kind === 'garbage' ? { kind: 'reset' as const } : found
    unit[which].weather(weather)
    await wait(dice.whole(200, 2500))
    unit[which].weather({ kind: 'fine' })
  })

const fullDisk = (unit: SidecarUnit, dice: Dice) =>
  alone(unit.role, async () => {
    const filler = join(unit.disk as string, 'filler')
    fill(filler)
    await wait(dice.whole(300, 2500))
    // Killed on the full disk, it has to start there.
    if (dice.next() < 0.3) {
      await unit.role.kill9()
      await unit.role.start()
    }
    rmSync(filler)
  })

function fill(file: string): void {
  for (let bytes = 2 ** 22; bytes >= 4096; bytes /= 4) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(bytes), { flag: 'a' })
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC') throw error
    }
  }
}

const movedClock = ({ role, clock }: SidecarUnit, dice: Dice) =>
  alone(clock as object, async () => {
    clock?.move(dice.pick([20 * minute, -20 * minute, 400 * day, -3 * day, 70]))
    await wait(dice.whole(300, 3000))
    // One that starts with a wrong clock, which is put right later.
    if (dice.next() < 0.3) await killed(role, dice)
    clock?.move(0)
  })

const movedDatabaseClock = (world: World, dice: Dice) =>
  alone(world.moveDatabaseClock, async () => {
    await world.moveDatabaseClock(dice.pick([40 * day, 100 * day, -10 * day, 20 * minute]))
    await wait(dice.whole(500, 4000))
    await world.moveDatabaseClock(0)
  })

/**
 * A snapshot of the folder is put back, as backups and images of machines do. What was acknowledged
 * between the two has been delivered by then: nobody could know of it otherwise.
 */
const restoredFolder = (unit: SidecarUnit, dice: Dice) =>
  alone(unit.door, () =>
    alone(unit.uplink, () =>
      alone(unit.role, async () => {
        const { role, door, uplink, spoolDir } = unit
        const snapshot = freshFolder()
        uplink.weather({ kind: 'reset' })
        await wait(dice.whole(100, 600))
        role.pause()
        cpSync(spoolDir, snapshot, { recursive: true })
        role.resume()
        uplink.weather({ kind: 'fine' })
        await wait(dice.whole(200, 1500))
        door.weather({ kind: 'reset' })
        const { url } = role.running
        const isEmpty = async () => (await healthOf(url)).spool_count === 0
        await until('the spool to be empty', isEmpty, 60_000)
        await role.kill9()
        rmSync(spoolDir, { recursive: true })
        cpSync(snapshot, spoolDir, { recursive: true })
        await role.start()
        door.weather({ kind: 'fine' })
      }),
    ),
  )
