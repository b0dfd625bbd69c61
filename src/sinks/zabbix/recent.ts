import type { Value } from './value.ts'

/*
 * What Zabbix took lately. It holds values in memory for a few seconds before they are in its database, and a
 * server that is killed has forgotten them. So once it was away it is sent again what it took in the ten
 * seconds before; what it has it drops.
 */

const windowMs = 10_000

/** Maximum values that are remembered: about 10 MB. */
const maxValues = 50_000

type Packet = { values: readonly Value[]; atMs: number }

export class Recent {
  #taken: Packet[] = []
  #owed: Packet[] = []

  /** Notes a packet that was answered. */
  add(values: readonly Value[]): void {
    const atMs = performance.now()
    this.#taken = shorten([...this.#taken, { values, atMs }], atMs - windowMs)
  }

  /** Notes that the server was away. */
  lost(): void {
    this.#owed = shorten([...this.#owed, ...this.#taken], -Infinity)
    this.#taken = []
  }

  /** The next packet to send again. */
  get owed(): readonly Value[] | undefined {
    return this.#owed[0]?.values
  }

  /** Notes that the next packet was sent again. */
  settled(): void {
    const [packet, ...rest] = this.#owed
    this.#owed = rest
    if (packet) this.add(packet.values)
  }
}

/** The newest packets, up to the maximum. */
function shorten(packets: readonly Packet[], sinceMs: number): Packet[] {
  let values = 0
  const kept = packets.toReversed().filter((packet) => {
    values += packet.values.length
    return packet.atMs >= sinceMs && values <= maxValues
  })
  return kept.reverse()
}
