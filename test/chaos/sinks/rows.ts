import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { until } from '../../support/processes.ts'
import { hasStrace, straceMissing, traceProcess } from '../../support/strace.ts'
import type { After } from './column.ts'
import type { PeerFault } from './peer-state.ts'
import type { Cell, Site } from './site.ts'

/** What a row has to work with. */
export type Stage = {
  t: After
  site: Site
  /** The sinks that the fault makes sense for. */
  cells: readonly Cell[]
  /** Sends a part of the events of the row, until all are acknowledged. @param bytes of text in each */
  send(share: number, bytes?: number): Promise<void>
  /** The same, of so many events. */
  sendEvents(count: number, bytes?: number): Promise<void>
}

/** A fault. It is there while events come, and gone when `run` is done. */
export type Row = {
  name: string
  /** Why it cannot be done here. */
  missing?: string
  appliesTo(cell: Cell): boolean
  run(stage: Stage): Promise<void>
  /** Events may be refused for now while it is there. */
  closesDoor?: boolean
  /** Mirrors may do without their oldest events. */
  skips?: boolean
  /** The sidecar is killed meanwhile. */
  restarts?: boolean
}

const all = () => true

/** On a machine that others load, everything takes its time. */
const deadlineMs = 180_000

/** A mistake of the other side, until it was made often enough everywhere. */
const mistake = (name: string, fault: PeerFault): Row => ({
  name,
  appliesTo: ({ part }) => part.faults.includes(fault),
  async run({ cells, send, sendEvents }) {
    await send(1 / 3)
    await tellAll(cells, fault)
    const sending = [send(1 / 3)]
    // One that takes what it answers wrongly gets no second chance without more.
    const more = setInterval(() => sending.push(sendEvents(10)), 1000)
    const waiting = Promise.all(cells.map((cell) => untilWrong(cell, 2)))
    await waiting.finally(() => clearInterval(more))
    await Promise.all(sending)
    await tellAll(cells, undefined)
    await send(1 / 3)
  },
})

const untilWrong = ({ column, part }: Cell, times: number) =>
  until(`${column.name} to do wrong`, async () => (await part.hits()) >= times, deadlineMs)

/** @param which processes are killed while events come, several times over */
const killed = (name: string, which: { sidecar: boolean; sink: boolean }): Row => ({
  name,
  appliesTo: which.sink ? ({ part }) => part.life !== undefined : all,
  restarts: which.sidecar,
  async run({ site, cells, send }) {
    await send(1 / 4)
    for (let kill = 0; kill < 3; kill++) {
      await tellAll(site.cells, 'slow')
      const before = send(1 / 8)
      // Somewhere in the middle, elsewhere each time.
      await wait(100 + 80 * kill)
      const lives = which.sink ? cells.map(killOnce) : []
      if (which.sidecar) lives.push(restart(site))
      await Promise.all([before, send(1 / 8), ...lives])
      await tellAll(site.cells, undefined)
    }
  },
})

async function killOnce(cell: Cell): Promise<void> {
  const { life } = cell.part
  await life?.kill()
  if (life?.diesLater) await untilWrong(cell, 1)
  else await wait(200)
  await life?.start()
}

async function restart(site: Site): Promise<void> {
  await site.running.kill9()
  await wait(200)
  await site.start()
}

/** All that know this fault; undefined ends any. */
const tellAll = (cells: readonly Cell[], fault: PeerFault | undefined) =>
  Promise.all(
    cells.map(({ part }) => (!fault || part.faults.includes(fault) ? part.tell(fault) : undefined)),
  )

const fullSpoolDisk = (site: Site): Row => ({
  name: 'the disk of the spool is full',
  ...(site.disk ? {} : { missing: 'mounting a small disk needs root' }),
  appliesTo: all,
  closesDoor: true,
  restarts: true,
  async run({ send, sendEvents }) {
    await send(1 / 3)
    const filler = join(must(site.disk), 'filler')
    fill(filler)
    const sending = [send(1 / 3)]
    const isFull = async () => {
      // The log has room of its own, for a while.
      if (sending.length < 100) sending.push(sendEvents(20, 12_000))
      return (await troubleOf(site))?.includes('full')
    }
    await until('the disk to be full', isFull, deadlineMs)
    await site.running.kill9()
    await site.start()
    rmSync(filler)
    await Promise.all(sending)
    await send(1 / 3)
  },
})

const troubleOf = async ({ url }: Site) =>
  ((await (await fetch(`${url}/v1/healthz`)).json()) as { trouble?: string }).trouble

function must<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a row that cannot be done was started')
  return value
}

function fill(file: string): void {
  for (let bytes = 2 ** 22; bytes >= 4096; bytes /= 4) {
    try {
      for (;;) writeFileSync(file, Buffer.alloc(bytes), { flag: 'a' })
    } catch (error) {
      if ((error as { code?: string }).code !== 'ENOSPC') throw error
    }
  }
}

const inject = (calls: string, error: string, more = '') => [
  ...['-e', `trace=${calls}`, '-e', `inject=${calls}:error=${error}${more}`],
]

/** A call of a process that was made to fail, with the file. */
const failedOn = (calls: readonly string[], path: string) =>
  calls.some((call) => call.includes('INJECTED') && call.includes(`<${path}`))

const failingFileWrites: Row = {
  name: 'the disk of the files is full (ENOSPC)',
  ...(hasStrace ? {} : { missing: straceMissing }),
  appliesTo: ({ part }) => part.openFiles !== undefined,
  async run({ t, site, cells, send, sendEvents }) {
    await send(1 / 2)
    await site.settle()
    await until(
      'each to have failed',
      async () => {
        const files = cells.flatMap(({ part }) => part.openFiles?.() ?? [])
        const paths = files.flatMap((file) => ['-P', file])
        const broken = await traceProcess(t, site.running.pid, [
          ...inject('write,writev,pwrite64,pwritev', 'ENOSPC'),
          ...paths,
        ])
        await sendEvents(30)
        const failed = await until('writes to fail', () =>
          files.every((file) => failedOn(broken.calls(), file)),
        ).catch(() => false)
        await broken.stop()
        // A file that was finished just then is not written any more: the next one.
        return failed
      },
      deadlineMs,
    )
    await send(1 / 2)
  },
}

const failingSyncs: Row = {
  name: 'EIO on fsync',
  ...(hasStrace ? {} : { missing: straceMissing }),
  appliesTo: all,
  closesDoor: true,
  async run({ t, site, cells, send, sendEvents }) {
    await send(1 / 2)
    const broken = await traceProcess(
      t,
      site.running.pid,
      inject('fsync,fdatasync', 'EIO', ':when=1+3'),
    )
    const folders = cells.flatMap(({ part }) => part.openFiles?.().map(toFolder) ?? [])
    const paths = [join(site.spoolDir, 'spool.db-wal'), ...folders]
    await until(
      'each to have failed',
      async () => {
        await sendEvents(20)
        return paths.every((path) => failedOn(broken.calls(), path))
      },
      deadlineMs,
    )
    await broken.stop()
    await send(1 / 2)
  },
}

const toFolder = (file: string) => file.slice(0, file.lastIndexOf('/'))

const tornTail: Row = {
  name: 'the tail of a file is torn',
  appliesTo: all,
  restarts: true,
  async run({ site, cells, send, sendEvents }) {
    await send(1 / 2)
    const sending = send(1 / 2)
    await wait(150)
    await site.running.kill9()
    for (const file of cells.flatMap(({ part }) => part.openFiles?.() ?? [])) tear(file)
    // Half a frame, as of a commit that was under way.
    appendFileSync(join(site.spoolDir, 'spool.db-wal'), Buffer.alloc(100, 0xa5))
    await site.start()
    await sending
    // Files are looked at beside all else: one that has taken more is looked at.
    await sendEvents(10)
  },
}

/** The begin of its last line once more, without its end. */
function tear(file: string): void {
  const text = readFileSync(file, 'utf8')
  const last = text.trimEnd().split('\n').at(-1) ?? ''
  appendFileSync(file, last.slice(0, Math.ceil(last.length / 2)))
}

/** Every sink but the first, so long that the spool fills with what they are owed. */
const deadMirrors: Row = {
  name: 'only mirrors are dead, for long',
  appliesTo: all,
  skips: true,
  async run({ site, cells, sendEvents }) {
    const mirrors = cells.filter(({ column }) => column !== site.cells[0]?.column)
    await site.running.stop()
    for (const { part } of mirrors) await part.die()
    await site.start({ SPOOL_MAX_BYTES: `${2 ** 24}` })
    const name = site.cells[0]?.column.name ?? ''
    const hasAll = async () => (await site.account(name)).lag_events === 0
    for (let sent = 0; sent < 1300; sent += 130) {
      await sendEvents(130, 12_000)
      // What the required sink is owed would close the door, and is not what this is about.
      await until('the required sink to have all', hasAll, deadlineMs)
    }
    await site.running.stop()
    for (const { part } of mirrors) await part.revive()
    await site.start()
  },
}

export const toRows = (site: Site): Row[] => [
  killed('kill -9 of the sidecar', { sidecar: true, sink: false }),
  killed('kill -9 of the sink', { sidecar: false, sink: true }),
  killed('kill -9 of both', { sidecar: true, sink: true }),
  fullSpoolDisk(site),
  failingFileWrites,
  failingSyncs,
  mistake('500', '500'),
  mistake('429 with Retry-After', '429'),
  mistake('413', '413'),
  mistake('200 with half of the items failed', 'half'),
  mistake('200 of garbage', 'garbage'),
  mistake('the answer is lost after the commit', 'lost answer'),
  mistake('no answer until the deadline', 'silence'),
  mistake('reset in the middle of a body', 'reset'),
  tornTail,
  deadMirrors,
]
