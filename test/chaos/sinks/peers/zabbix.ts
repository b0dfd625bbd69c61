import { appendFileSync, existsSync, readFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { type PeerState, startPeer } from '../peer-state.ts'
import { toKnownItem, type ZabbixSeen } from '../zabbix-reader.ts'

/*
 * The trapper port of Zabbix as far as counting goes: of an item it keeps one value for each second and nanosecond. A value
 * whose key has no item fails, and items are made by discovery. It reads no packet that zabbix_sender would not send.
 */

type Value = { host: string; key: string; value: string; clock: number; ns: number }

const [headBytes, maxValues, maxBytes] = [13, 250, 2 ** 20]
const day = 86_400

function pack(text: string | Buffer, { flags = 1, length }: { flags?: number; length?: number }) {
  const head = Buffer.alloc(headBytes)
  head.write('ZBXD', 'latin1')
  head.writeUInt8(flags, 4)
  head.writeUInt32LE(length ?? Buffer.byteLength(text), 5)
  return Buffer.concat([head, Buffer.from(text)])
}

const toInfo = (processed: number, failed: number, total = processed + failed) =>
  `processed: ${processed}; failed: ${failed}; total: ${total}; seconds spent: 0.000100`
const toAnswer = (info: string, response = 'success') => JSON.stringify({ response, info })

/** @param sent values in the packet */
const toGarbage = (sent: number): readonly Buffer[] => [
  Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
  pack(toAnswer(toInfo(sent, 0)), { length: 5 }),
  pack(toAnswer(toInfo(sent, 0)), { length: 500 }),
  pack(toAnswer(toInfo(sent, 0)), { length: 2 ** 32 - 1 }),
  pack(toAnswer(toInfo(sent, 0)), { flags: 3 }),
  pack(toInfo(sent, 0), {}),
  pack('{"a":'.repeat(10_000), {}),
  pack(Buffer.from(toAnswer(toInfo(sent, 0)), 'utf16le'), {}),
  pack(toAnswer(toInfo(sent, 0, sent + 1)), {}),
  pack(toAnswer(toInfo(sent + 1, 0)), {}),
  pack(toAnswer('all is well'), {}),
]

/** @throws when no sender would have made it */
function readPacket(packet: Buffer): Value[] {
  const isHead = packet.toString('latin1', 0, 5) === 'ZBXD\x01' && packet.readUInt32LE(9) === 0
  if (!isHead) throw new Error('a head')
  const { request, data } = JSON.parse(packet.toString('utf8', headBytes)) as {
    request: string
    data: Value[]
  }
  if (request !== 'sender data') throw new Error(`a request ${request}`)
  if (data.length > maxValues) throw new Error(`${data.length} values`)
  for (const value of data) checkValue(value)
  return data
}

function checkValue({ host, key, value, clock, ns }: Value): void {
  const isWhole = (n: number, most: number) => Number.isInteger(n) && n >= 0 && n <= most
  if (host !== 'wafermon' || typeof key !== 'string') throw new Error(`a value of ${host} ${key}`)
  if (!isWhole(clock, 2 ** 31 - 1) || !isWhole(ns, 999_999_999)) throw new Error('a wrong time')
  if (clock < Date.now() / 1000 - 90 * day) throw new Error('a value older than history')
  const isList = key.startsWith('wafer.discovery') && Array.isArray(JSON.parse(value))
  if (!isList && !/^-?\d+(\.\d+)?(e[+-]?\d+)?$/.test(value)) throw new Error(`a value ${value}`)
}

class Trapper {
  readonly #state: PeerState
  readonly #itemsFile: string
  readonly #apps: Set<string>
  /** Keys that have no item now, and since when those had one again that had none. */
  readonly #unknown = new Set<string>()
  readonly #againMs = new Map<string, number>()

  constructor(state: PeerState, journal: string) {
    this.#state = state
    this.#itemsFile = `${journal}.apps`
    const has = existsSync(this.#itemsFile)
    this.#apps = new Set(has ? readFileSync(this.#itemsFile, 'utf8').split('\n') : [])
  }

  serve(socket: Socket): void {
    let got = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      const isFirst = got.length === 0
      got = Buffer.concat([got, chunk])
      const state = this.#state
      if (isFirst && state.fault === 'reset' && state.hits % 2 === 0) {
        state.hits++
        return void socket.resetAndDestroy()
      }
      const length = got.length < headBytes ? maxBytes : got.readUInt32LE(5)
      if (got.length < headBytes + length && length <= maxBytes) return
      this.#read(got, length, socket)
    })
  }

  #read(packet: Buffer, length: number, socket: Socket): void {
    try {
      if (packet.length !== headBytes + length) throw new Error(`a length of ${length}`)
      void this.#take(readPacket(packet), socket)
    } catch (error) {
      this.#state.complain(`a packet that is none: ${(error as Error).message}`)
      socket.end(pack(toAnswer('refused', 'failed'), {}))
    }
  }

  async #take(values: readonly Value[], socket: Socket): Promise<void> {
    const state = this.#state
    const { fault } = state
    const known = values.filter((value) => this.#isKnown(value))
    if (fault && (fault !== 'half' || known.length < values.length)) state.hits++
    if (fault === '500') return void socket.end(pack(toAnswer('planted', 'failed'), {}))
    if (fault === 'garbage') return this.#sendGarbage(values.length, socket)
    // One that hangs has taken the values, or not.
    if (fault === 'silence' && state.hits % 2 === 1) return
    this.#commit(values, new Set(known))
    if (fault === 'silence') return
    if (fault === 'lost answer') return void socket.destroy()
    if (fault === 'slow') await wait(40)
    const answer = pack(toAnswer(toInfo(known.length, values.length - known.length)), {})
    if (fault !== 'reset') return void socket.end(answer)
    socket.write(answer.subarray(0, 20))
    setImmediate(() => socket.resetAndDestroy())
  }

  #sendGarbage(sent: number, socket: Socket): void {
    const list = toGarbage(sent)
    socket.end(list[this.#state.hits % list.length] ?? '')
  }

  /** While it does not know half of the items, those of ticks are gone. */
  #isKnown({ key }: Value): boolean {
    if (key.startsWith('wafer.discovery')) return true
    const item = toKnownItem(key)
    const isGone = this.#state.fault === 'half' && item?.kind === 'progress'
    return item !== undefined && this.#apps.has(item.app) && !isGone
  }

  #commit(values: readonly Value[], known: ReadonlySet<Value>): void {
    const fresh: ZabbixSeen[] = []
    for (const one of values) {
      const { key, value, clock, ns } = one
      if (key.startsWith('wafer.discovery')) this.#discover(value)
      else {
        const id = `${key} ${clock} ${ns}`
        const isNew = !this.#state.knows(id) && !fresh.some((seen) => seen.id === id)
        if (!known.has(one)) this.#unknown.add(key)
        else if (this.#unknown.delete(key)) this.#againMs.set(key, Date.now())
        // Of a time at which its key had no item, as its sender knew.
        const late = clock * 1000 + ns / 1e6 <= (this.#againMs.get(key) ?? 0)
        if (known.has(one) && isNew) fresh.push({ ...nowhere, id, key, value, late })
      }
    }
    this.#state.commit(fresh)
  }

  #discover(list: string): void {
    for (const row of JSON.parse(list) as { '{#APP}': string }[]) {
      const app = row['{#APP}']
      if (this.#apps.has(app)) continue
      this.#apps.add(app)
      appendFileSync(this.#itemsFile, `${app}\n`)
    }
  }
}

/** What no value has of its event. */
const nowhere = { epoch: '', seq: 0, job: '' }

startPeer((state, { journal }) => {
  const trapper = new Trapper(state, journal)
  return createServer((socket) => trapper.serve(socket))
})
