import type { Admitted, Verdict } from '../core/admission.ts'
import { AppendQueue } from './append-queue.ts'
import { isDiskError, unwritableError } from './disk-error.ts'
import type { DiskGuard } from './disk-guard.ts'
import type { Epochs } from './epochs.ts'
import { EventWriter, sizeOf } from './event-writer.ts'
import type { Guard } from './guard.ts'
import type { Positions } from './positions.ts'
import type { SeenKeys } from './seen-keys.ts'
import type { Space } from './space.ts'
import type { Statements } from './statements.ts'

export type AppenderOptions = {
  statements: Statements
  keys: SeenKeys
  epochs: Epochs
  positions: Positions
  disk: DiskGuard
  space: Space
  guard: Guard
  /** False when nothing may be written. */
  canWrite: () => boolean
  /** Why, in words. */
  trouble: () => string | undefined
  /** Called right after a commit, before anything may throw. */
  onStored: (seq: number, given: number) => void
}

type Group = readonly Admitted[]

/** Puts the events of waiting requests on disk, or refuses them in words. */
export class Appender {
  readonly #options: AppenderOptions
  readonly #writer: EventWriter
  readonly #queue = new AppendQueue((groups) => this.#write(groups))

  constructor(options: AppenderOptions) {
    this.#options = options
    this.#writer = new EventWriter(options.statements, options.keys)
  }

  /** @throws AppError overloaded when the disk fails in another way than being full */
  append(items: Group): Promise<Verdict[]> {
    return this.#queue.add(items)
  }

  /** Answers those that wait. */
  flush(): void {
    this.#queue.flush()
  }

  #write(groups: readonly Group[]): Verdict[][] {
    const { disk, space, guard, canWrite } = this.#options
    if (!canWrite()) return this.#refuse(groups)
    const room = disk.works ? space.room() : 'none'
    if (room === 'none') return this.#refuse(groups)
    try {
      if (space.fits(sizeOf(groups))) return this.#commit(groups, room)
      if (groups.length > 1) return groups.flatMap((group) => this.#write([group]))
      return this.#refuse(groups, 'the disk of the spool has too little space for this many events')
    } catch (error) {
      disk.failed(error)
      if (guard.isUnsound || isDiskError(error)) return this.#refuse(groups)
      throw unwritableError(error)
    }
  }

  #refuse(
    groups: readonly Group[],
    why = this.#options.trouble() ?? 'the spool is full',
  ): Verdict[][] {
    const full = { later: why }
    return groups.map((items) => items.map(() => full))
  }

  /** One transaction for all that wait. Counters move only once it is durable. */
  #commit(groups: readonly Group[], room: 'all' | 'ends'): Verdict[][] {
    const { statements, epochs, positions, keys, disk, space, guard, onStored } = this.#options
    const began = performance.now()
    statements.begin.run()
    const from = { seq: positions.last, given: epochs.given }
    const { verdicts, seq, given } = this.#writer.write(groups, room, from)
    if (given > from.given) epochs.record(from.seq + 1, positions.ackedByAll)
    statements.commit.run()
    if (seq > from.seq) onStored(seq, given)
    keys.added(seq - from.seq)
    disk.attempt(() => space.checkLog())
    return guard.troubleSince(began) ? this.#refuse(groups) : verdicts
  }
}
