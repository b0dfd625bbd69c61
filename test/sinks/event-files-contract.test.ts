import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { pino } from 'pino'
import { openCsv } from '../../src/sinks/csv/open.ts'
import { settings as csvSettings } from '../../src/sinks/csv/settings.ts'
import type { FreeSpace } from '../../src/sinks/event-files/writer.ts'
import { openJson } from '../../src/sinks/json/open.ts'
import { settings as jsonSettings } from '../../src/sinks/json/settings.ts'
import { parseCsv } from '../support/csv.ts'
import { freshFolder } from '../support/processes.ts'
import { type SinkUnderTest, testSink } from './contract.ts'

/* Files as a sink, by the contract of core/delivery.ts, while the disk or another program is in the way. */

const log = pino({ level: 'silent' })

const kinds = {
  csv: {
    open: (dir: string, freeSpace: FreeSpace) =>
      openCsv(csvSettings.parse({ output_dir: dir }), { log }, freeSpace),
    read: (text: string) =>
      parseCsv(text)
        .slice(1)
        .map((row) => Number(row.at(-1))),
  },
  json: {
    open: (dir: string, freeSpace: FreeSpace) =>
      openJson(jsonSettings.parse({ output_dir: dir }), { log }, freeSpace),
    read: (text: string) =>
      text
        .split('\n')
        // What follows the last line end is a line that is still being written.
        .slice(0, -1)
        .map((line) => JSON.parse(line).n as number),
  },
}

/** How writing and syncing go, by the handle that Node gives out. */
type Handle = { write(...args: unknown[]): unknown; datasync(): unknown }

async function breakable(t: TestContext) {
  const sample = await open('/dev/null')
  const handle = Object.getPrototypeOf(sample) as Handle
  await sample.close()
  const { write, datasync } = handle
  t.after(() => Object.assign(handle, { write, datasync }))
  return {
    heal: () => void Object.assign(handle, { write, datasync }),
    breakWrites() {
      handle.write = async function (bytes, at, length, position) {
        await Reflect.apply(write, this, [bytes, at, Math.ceil(Number(length) / 2), position])
        throw Object.assign(new Error('planted'), { code: 'ENOSPC' })
      }
    },
    breakSyncs() {
      handle.datasync = async () => {
        throw Object.assign(new Error('planted'), { code: 'EIO' })
      }
    },
  }
}

for (const [name, kind] of Object.entries(kinds)) {
  testSink({
    name,
    troubles: [
      'a disk with too little space',
      'a file in the place of the folder',
      'writes that fail in the middle',
      'syncs that fail',
      'a collector that takes the open file',
    ],
    hangs: 'a disk with too little space',
    open: (t) => openUnderTest(t, kind),
  })
}

async function openUnderTest(
  t: TestContext,
  kind: (typeof kinds)[keyof typeof kinds],
): Promise<SinkUnderTest> {
  const home = freshFolder()
  const dir = join(home, 'events')
  const collected = join(home, 'collected')
  mkdirSync(collected)
  const disk = await breakable(t)
  let free = 1
  const sink = kind.open(dir, async () => ({ free: free * 2 ** 31, size: 2 ** 31 }))
  t.after(() => sink.close?.())
  const taking = { on: false }
  const take = () => {
    for (const name of listEvents(dir))
      renameSync(join(dir, name), join(collected, `${n++}-${name}`))
  }
  let n = 0
  return {
    async deliver(batch, signal) {
      const answer = await sink.deliver(batch, signal)
      if (taking.on) take()
      return answer
    },
    get took() {
      const read = [dir, collected].flatMap((folder) =>
        listEvents(folder).flatMap((name) => kind.read(readFileSync(join(folder, name), 'utf8'))),
      )
      return new Set(read)
    },
    refused: new Set(),
    trouble(wanted) {
      disk.heal()
      free = wanted === 'a disk with too little space' ? 0 : 1
      taking.on = wanted === 'a collector that takes the open file'
      if (wanted === 'a file in the place of the folder') writeFileSync(dir, '')
      else if (isFile(dir)) rmSync(dir)
      if (wanted === 'writes that fail in the middle') disk.breakWrites()
      if (wanted === 'syncs that fail') disk.breakSyncs()
    },
  }
}

const isFile = (path: string) => statSync(path, { throwIfNoEntry: false })?.isFile() ?? false

const listEvents = (folder: string) => {
  try {
    return readdirSync(folder).filter((name) => /\.(csv|jsonl)$/.test(name))
  } catch {
    return []
  }
}
