import { clock } from '../../platform/clock.ts'
import { exchange } from './exchange.ts'
import { type Counts, readCounts } from './judge.ts'
import type { Settings } from './settings.ts'
import type { Value } from './value.ts'

/** As many values as zabbix_sender puts into a packet. */
export const maxValues = 250

type Sent = Pick<Value, 'key' | 'value' | 'clock' | 'ns'>

/** The trapper port of a server, for the items of one host. */
export class Trapper {
  readonly #settings: Settings

  constructor(settings: Settings) {
    this.#settings = settings
  }

  /** Sends a packet. @throws PeerError unless it is answered with as many values as were sent */
  async send(values: readonly Sent[], signal: AbortSignal): Promise<Counts> {
    const { host, timeout, zabbix_server: address } = this.#settings
    const data = values.map(({ key, value, clock, ns }) => ({ host, key, value, clock, ns }))
    const text = JSON.stringify({ request: 'sender data', data })
    const answer = await exchange(text, { address, timeoutMs: timeout * 1000, signal })
    return readCounts(answer, values.length)
  }

  /** Sends a list of discovery. @returns false when the host has no rule with that key */
  async sendList(key: string, rows: readonly object[], signal: AbortSignal): Promise<boolean> {
    const seconds = Math.floor(clock.nowMs() / 1000)
    const value = JSON.stringify(rows)
    const { failed } = await this.send([{ key, value, clock: seconds, ns: 0 }], signal)
    return failed === 0
  }
}
