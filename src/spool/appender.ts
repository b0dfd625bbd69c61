import type { Admitted, Verdict } from '../core/admission.ts'
import { AppendQueue } from './append-queue.ts'
import { isDiskError, unwritableError } from './disk-error.ts'
import type { DiskGuard } from './disk-guard.ts'
import type { Epochs } from './epochs.ts'
import { EventWriter, sizeOf, type Written } from './event-writer.ts'
import type { Guard } from './guard.ts'
import type { Ledger } from './ledger.ts'
import type { Positions } from './positions.ts'
import type { SeenKeys } from './seen-keys.ts'
import type { Share } from './share.ts'
import type { Sizes } from './sizes.ts'
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
  /** True while all room is needed for events that are carried over. */
  isTight: () => boolean
  /** Why, in words. */
  trouble: () => string | undefined
  ledger: Ledger
  sizes: Sizes
  share: Share
  /** Called right after a commit, before anything may throw. */
  onStored: (stored: Stored) => void
}

/** What a commit brought. */
export type Stored = Omit<Written, 'verdicts'>

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
    const { disk, space, share, guard, canWrite, isTight } = this.#options
    if (!canWrite()) return this.#refuse(groups)
    share.makeRoom()
    const room = disk.works && !isTight() ? space.room() : 'none'
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
    const { statements, epochs, positions, sizes, ledger, guard } = this.#options
    const began = performance.now()
    statements.begin.run()
    const from = { seq: positions.last, given: epochs.given, bytes: sizes.end }
    const { verdicts, ...stored } = this.#writer.write(groups, room, from)
    if (stored.given > from.given) epochs.record(from.seq + 1, ledger.gone)
    ledger.write(stored.seq)
    statements.commit.run()
    this.#committed(stored, stored.seq - from.seq)
    return guard.troubleSince(began) ? this.#refuse(groups) : verdicts
  }

  #committed(stored: Stored, events: number): void {
    const { keys, disk, space, sizes, ledger, onStored } = this.#options
    if (events > 0) onStored(stored)
    sizes.stored(stored.bytes)
    keys.added(events)
    ledger.written()
    disk.attempt(() => space.checkLog())
  }
}
