import fs, { existsSync, readFileSync, writeFileSync } from 'node:fs'
import fsp, { open } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { pino } from 'pino'
import { Outgoing } from '../../src/core/delivery.ts'
import { openCsv } from '../../src/sinks/csv/open.ts'
import { openJson } from '../../src/sinks/json/open.ts'
import { wholeEvent } from './whole-event.ts'

/*
 * A process that delivers events to a sink of files and is killed (SIGKILL, by itself) before a chosen
 * call that changes something on disk, or in the middle of a write. It keeps what a spool would keep: how
 * far it was acknowledged, and the state of the sink, written together, and later than the answer.
 *
 *   writing-child.ts KIND DIR JOURNAL EVENTS CRASH_AT
 */

const [kind = '', dir = '', journal = '', count = '0', crashAt = '0'] = process.argv.slice(2)

type Call = (this: unknown, ...args: unknown[]) => unknown
let calls = 0

/** Counts the calls of these names, and dies before the chosen one. */
function countAsync(table: Record<string, Call>, names: readonly string[]): void {
  for (const name of names) {
    const real = table[name] as Call
    table[name] = async function (...args) {
      if (++calls === Number(crashAt)) await die(name, this, real, args)
      return await Reflect.apply(real, this, args)
    }
  }
}

function countSync(table: Record<string, Call>, names: readonly string[]): void {
  for (const name of names) {
    const real = table[name] as Call
    table[name] = function (...args) {
      if (++calls === Number(crashAt)) process.kill(process.pid, 'SIGKILL')
      return Reflect.apply(real, this, args)
    }
  }
}

async function die(name: string, self: unknown, real: Call, args: unknown[]): Promise<void> {
  if (name === 'write') {
    const [bytes, at, length, position] = args
    await Reflect.apply(real, self, [bytes, at, Math.ceil(Number(length) / 2), position])
  }
  process.kill(process.pid, 'SIGKILL')
  await new Promise(() => {})
}

const sample = await open('/dev/null')
const handle = Object.getPrototypeOf(sample)
await sample.close()
countAsync(handle, ['write', 'datasync', 'sync', 'truncate'])
countAsync(fsp as never, ['rename', 'rm', 'open', 'mkdir', 'chmod'])
/** For the journal, which does not die. */
const { renameSync } = fs
countSync(fs as never, ['renameSync', 'writeSync', 'fsyncSync', 'symlinkSync'])
syncBuiltinESMExports()

type Kept = { acked: number; state?: string }
const kept: Kept = existsSync(journal) ? JSON.parse(readFileSync(journal, 'utf8')) : { acked: 0 }

const settings = {
  output_dir: dir,
  rotation: 'none' as const,
  max_bytes: 2500,
  compression: true,
}
const context = { log: pino({ level: 'silent' }), state: kept.state }
const space = async () => ({ free: 2 ** 40, size: 2 ** 40 })
const sink =
  kind === 'csv'
    ? openCsv({ ...settings, include_headers: true, delimiter: ',' }, context, space)
    : openJson({ ...settings, pretty_print: false }, context, space)

const signal = new AbortController().signal
let unrecorded = 0
let state = kept.state
for (let from = kept.acked; from < Number(count); ) {
  const size = Math.min(3, Number(count) - from)
  const batch = Array.from({ length: size }, (_, i) => {
    const seq = from + i + 1
    return new Outgoing(seq, JSON.stringify(wholeEvent(seq)))
  })
  const answer = await sink.deliver(batch, signal)
  if (answer.kind !== 'judged') throw new Error(JSON.stringify(answer))
  from += size
  state = answer.state
  // A spool records the acknowledgments of a tenth of a second together.
  if (++unrecorded % 2 === 0 || from === Number(count))
    record({ acked: from, ...(state ? { state } : {}) })
}
await sink.close?.()
process.stdout.write(`${calls}`)

function record(now: Kept): void {
  writeFileSync(`${journal}.partial`, JSON.stringify(now))
  renameSync(`${journal}.partial`, journal)
}
