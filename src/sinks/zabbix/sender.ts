import { Recent } from './recent.ts'
import { maxValues, type Trapper } from './trapper.ts'
import type { Value } from './value.ts'

/*
 * Sends values, and finds out which of them Zabbix took. An answer only says how many failed. A value fails because
 * of its key: the host has no item by it. So when some of a packet fail, each key is sent on its own; and should
 * some of one key fail and others not, each value. Values that were taken come again by that, and are dropped.
 */
export class Sender {
  readonly #trapper: Trapper
  readonly #recent = new Recent()
  #taken = new Set<Value>()
  #known = new Set<string>()
  #unknown = new Set<string>()
  #acceptedMs = -Infinity

  constructor(trapper: Trapper) {
    this.#trapper = trapper
  }

  /** Values that Zabbix took since {@link begin}. */
  get taken(): ReadonlySet<Value> {
    return this.#taken
  }

  /** Keys of which it took a value, or all values failed, since then. */
  get known(): ReadonlySet<string> {
    return this.#known
  }
  get unknown(): ReadonlySet<string> {
    return this.#unknown
  }

  /** When it last took a value, by performance.now(). */
  get acceptedMs(): number {
    return this.#acceptedMs
  }

  begin(): void {
    this.#taken = new Set()
    this.#known = new Set()
    this.#unknown = new Set()
  }

  /** Notes that the server was away. */
  lost(): void {
    this.#recent.lost()
  }

  /** Sends what Zabbix may have forgotten. @throws PeerError */
  async sendOwed(signal: AbortSignal): Promise<void> {
    for (let values = this.#recent.owed; values; values = this.#recent.owed) {
      await this.#trapper.send(values, signal)
      this.#recent.settled()
    }
  }

  /** @throws PeerError; what was taken before is noted */
  async send(values: readonly Value[], signal: AbortSignal): Promise<void> {
    for (let i = 0; i < values.length; i += maxValues) {
      await this.#sendPacket(values.slice(i, i + maxValues), signal)
    }
  }

  async #sendPacket(values: readonly Value[], signal: AbortSignal): Promise<void> {
    const { failed } = await this.#trapper.send(values, signal)
    if (failed === 0) return this.#accept(values)
    const groups = [...Map.groupBy(values, ({ key }) => key).values()]
    if (groups.length === 1 && failed === values.length) return this.#fail(values)
    const parts = groups.length > 1 ? groups : values.map((value) => [value])
    for (const part of parts) await this.#sendPacket(part, signal)
  }

  #accept(values: readonly Value[]): void {
    this.#acceptedMs = performance.now()
    this.#recent.add(values)
    for (const value of values) {
      this.#taken.add(value)
      this.#known.add(value.key)
      this.#unknown.delete(value.key)
    }
  }

  #fail(values: readonly Value[]): void {
    for (const { key } of values) if (!this.#known.has(key)) this.#unknown.add(key)
  }
}
