import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import type { TestContext } from 'node:test'
import { fileURLToPath } from 'node:url'
import type { Orders, Packet } from './zabbix-peer-child.ts'

const program = fileURLToPath(new URL('./zabbix-peer-child.ts', import.meta.url))

type Message =
  | { kind: 'ready'; port: number; lies: string[] }
  | { kind: 'asked' }
  | { kind: 'took'; packet: Packet }

/** A stand-in for Zabbix, in a process of its own. */
export class ZabbixPeer {
  readonly orders: Orders = { trouble: undefined, unknown: [], host: 'wafermon' }
  readonly packets: Packet[] = []
  port = 0
  lies: readonly string[] = []
  #child: ChildProcess | undefined

  /** Every value that it took, once: by key, time and value. */
  get values(): Set<string> {
    const took = this.packets.flatMap((packet) => packet.took)
    return new Set(took.map(({ key, clock, ns, value }) => `${key} ${clock}.${ns} ${value}`))
  }

  /** Keys in the order in which packets came, without those of discovery. */
  get keys(): string[][] {
    const lists = this.packets.map(({ sent }) => [...new Set(sent.map(({ key }) => key))])
    return lists.filter(([key]) => !key?.startsWith('wafer.discovery'))
  }

  /** The last list that a rule of discovery took. */
  discovered(key = 'wafer.discovery'): object[] {
    const lists = this.packets.flatMap(({ took }) => took.filter((sent) => sent.key === key))
    return JSON.parse(lists.at(-1)?.value ?? '[]')
  }

  order(orders: Partial<Orders>): void {
    Object.assign(this.orders, orders)
  }

  async start(): Promise<void> {
    const child = fork(program, [String(this.port)], { execArgv: [] })
    this.#child = child
    const ready = Promise.withResolvers<void>()
    child.on('message', (message: Message) => {
      if (message.kind === 'asked') return void child.send(this.orders)
      if (message.kind === 'took') {
        this.packets.push(message.packet)
        return void child.send({})
      }
      this.port = message.port
      this.lies = message.lies
      ready.resolve()
    })
    child.once('exit', (code) => ready.reject(new Error(`the peer ended with ${code}`)))
    await ready.promise
  }

  /** Ends it as kill -9 does. */
  async kill(): Promise<void> {
    const child = this.#child
    if (!child || child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
  }
}

export async function startZabbixPeer(t: Pick<TestContext, 'after'>): Promise<ZabbixPeer> {
  const peer = new ZabbixPeer()
  await peer.start()
  t.after(() => peer.kill())
  return peer
}

/** All that may be wrong: the lies, and what is half true. */
export const troubleNames = [
  ...['no answer', 'a connection that is cut before the answer', 'an empty answer'],
  ...['a page of a web server', 'half a header', 'half an answer', 'an answer longer than it says'],
  ...['an answer of 4 GB', 'an answer that never ends', '100 MB', 'a compressed answer'],
  ...['an answer that is not JSON', 'null for an answer', 'deep JSON', 'a wrong charset'],
  ...['an answer without counts', 'counts that are not numbers', 'a refusal'],
  ...['counts of another packet', 'a packet that is read in part', 'an answer that is lost'],
  'a host that is not known',
]
