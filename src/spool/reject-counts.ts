/** The rejects of a sink; bytes are those of their events. */
export type RejectCount = { count: number; bytes: number }

/** Rejects by sink. */
export class RejectCounts {
  readonly #of = new Map<string, RejectCount>()

  of(sink: string): RejectCount {
    return this.#of.get(sink) ?? { count: 0, bytes: 0 }
  }

  bytes(isOne: (sink: string) => boolean): number {
    const all = [...this.#of].filter(([sink]) => isOne(sink))
    return all.reduce((sum, [, { bytes }]) => sum + bytes, 0)
  }

  add(sink: string, { count, bytes }: RejectCount): void {
    const had = this.of(sink)
    this.#of.set(sink, { count: had.count + count, bytes: had.bytes + bytes })
  }

  take(sink: string, { count, bytes }: RejectCount): void {
    this.add(sink, { count: -count, bytes: -bytes })
  }

  clear(sink: string): void {
    this.#of.delete(sink)
  }
}
