import { join } from 'node:path'
import { must } from '../core/must.ts'
import { type CarryPart, CarryReader } from './carry-reader.ts'
import { type CarryRow, isCarried, isWithoutEvents } from './carry-table.ts'
import { isLarge } from './check-behind.ts'
import { attempt } from './damaged-table.ts'
import type { Db } from './db.ts'
import { isDiskError } from './disk-error.ts'
import type { DiskGuard } from './disk-guard.ts'
import type { OpenReport } from './open.ts'
import { firstCarried, type Positions } from './positions.ts'
import type { Rejects } from './rejects.ts'
import type { Space } from './space.ts'
import { endCarrying } from './swap.ts'

/*
 * Carries over what can be read of damaged databases into the one that took their place, while that
 * takes and delivers events.
 *
 * What always holds
 *   1. Every event that can be read is carried over once, with its stamp: an event and the note that it
 *      was are one commit, so a kill at any moment repeats and loses nothing.
 *   2. Order: the events come before all that came in since, as they did, and those of an older
 *      database before those of a later one. Until all are there, none that came in since is delivered.
 *   3. The event loop is held for one part at a time, of a MiB or so, and is free for as long after it.
 *   4. On a disk that is nearly full it takes little space, and waits for deliveries to make more. Events
 *      never wait for the room that rejects take.
 */

/** A damaged database and what of it could be carried over. */
export type Damage = NonNullable<OpenReport['damaged']>

/** How far it is. `of`: how many events there are, as far as that is known. */
export type Carrying = {
  from: string
  reason: string
  events: number
  of?: number
  /** Why it does not continue at the moment. */
  trouble?: string
}

export type CarryOverOptions = {
  dir: string
  db: Db
  carry: CarryRow[]
  sourceId: string
  positions: Positions
  rejects: Rejects
  disk: DiskGuard
  space: Space
  /** Up to here no event is left. */
  gone: () => number
  /** False when nothing may be written. */
  canWrite: () => boolean
  /** Called after every part: there may be more to deliver. */
  onPart: () => void
  /** Called once, when everything that can be read was carried over. */
  onCarriedOver?: (damage: Damage) => void
  /** Larger databases are carried over behind the opening; for tests. */
  largeBytes?: number
}

/** Between attempts while there is no room, in milliseconds: a look that costs next to nothing. */
const againMs = 100
/** The same after a write that failed with rejects, which is felt: until the disk works again, nothing is taken. */
const againRejectsMs = 30_000

export class CarryOver {
  readonly #options: CarryOverOptions
  readonly #statements: ReturnType<typeof prepare>
  readonly #rows: CarryRow[]
  readonly #reader: CarryReader
  /** Read, and not written yet. */
  #part: CarryPart | undefined
  #later: NodeJS.Timeout | undefined
  #isStopped = false
  #trouble: string | undefined
  #failedRejects = false

  constructor(options: CarryOverOptions) {
    this.#options = options
    this.#rows = options.carry
    this.#statements = prepare(options.db)
    this.#reader = new CarryReader(options.dir, options.sourceId)
    options.positions.carried(this.#end, this.#left)
  }

  /** What was carried over; undefined until that is all. */
  get damage(): Damage | undefined {
    return this.#isDone ? this.#describe() : undefined
  }

  /** Set while there is more to carry over. */
  get carrying(): Carrying | undefined {
    if (this.#isDone) return undefined
    const { movedTo, reason, salvaged, unreadable } = this.#describe()
    const isKnown = this.#rows.every((row) => isCarried(row) || row.last !== null)
    const trouble = this.#trouble
    return {
      ...{ from: movedTo, reason, events: salvaged },
      ...(isKnown ? { of: salvaged + unreadable + this.#left } : {}),
      ...(trouble ? { trouble } : {}),
    }
  }

  /** Why new events are refused meanwhile: they would take the room in which the old ones are carried over. */
  get tightness(): string | undefined {
    if (this.#left === 0 || this.#options.space.isAmple) return undefined
    return 'the disk of the spool is nearly full, and events of a damaged spool are carried over first'
  }

  /** How many events are still to be carried over; while that is not known, and at least, one of each database. */
  get #left(): number {
    const left = this.#rows
      .filter((row) => !isWithoutEvents(row))
      .map(({ last, high }) => Math.max(1, (last ?? high) - high))
    return left.reduce((sum, some) => sum + some, 0)
  }

  #describe(): Damage {
    const { folder, reason } = must(this.#rows.at(-1), 'something is carried over')
    const movedTo = join(this.#options.dir, folder)
    const unreadableRejects = this.#sum('unreadable_rejects')
    return {
      ...{ movedTo, reason },
      ...{ salvaged: this.#sum('carried'), unreadable: this.#sum('unreadable') },
      ...(unreadableRejects > 0 ? { unreadable_rejects: unreadableRejects } : {}),
    }
  }

  #sum(column: 'carried' | 'renumbered' | 'unreadable' | 'unreadable_rejects'): number {
    return this.#rows.reduce((sum, row) => sum + row[column], 0)
  }

  /** The last number that was given. */
  get #end(): number {
    return firstCarried - 1 + this.#sum('carried')
  }

  get #isDone(): boolean {
    return this.#rows.every(isCarried)
  }

  /** What is quickly copied is there when this returns, if the disk has room; the rest follows behind. */
  begin(): void {
    const { dir, largeBytes } = this.#options
    const isLong = this.#rows.some(({ folder }) =>
      isLarge(join(dir, folder, 'spool.db'), largeBytes),
    )
    while (!isLong && !this.#isDone && this.#step()) {}
    this.#continueIn(0)
  }

  #continueIn(ms: number): void {
    if (this.#isDone) this.#reader.close()
    else this.#later = setTimeout(() => this.#continue(), ms).unref()
  }

  #continue(): void {
    const beganMs = performance.now()
    const wentOn = this.#step()
    if (this.#isStopped) return
    const waitMs = this.#failedRejects ? againRejectsMs : againMs
    this.#continueIn(wentOn ? performance.now() - beganMs : waitMs)
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#later)
    this.#reader.close()
  }

  /** One part. @returns false when the disk does not take it at the moment */
  #step(): boolean {
    if (!this.#options.canWrite()) return false
    const { error } = attempt(() => {
      this.#part ??= this.#reader.readNext(this.#rows)
    })
    this.#trouble = error ? `it cannot be opened: ${(error as Error).message}` : undefined
    return this.#part !== undefined && this.#tryWrite(this.#part)
  }

  #tryWrite(part: CarryPart): boolean {
    this.#failedRejects = false
    this.#trouble = this.#waitsFor(part)
    if (this.#trouble) return false
    try {
      this.#write(part)
      return true
    } catch (error) {
      this.#options.disk.failed(error)
      if (!isDiskError(error)) throw error
      this.#trouble = this.#options.disk.trouble
      this.#failedRejects = part.rejects.length > 0
      return false
    }
  }

  /**
   * On a disk that is nearly full the events come one part at a time: the next when the one before was
   * delivered. The pages that it gave back have the room, and so little is written over and over that a
   * file system that copies on write, where that takes space each time, has it too.
   */
  #waitsFor({ bytes, rejects }: CarryPart): string | undefined {
    const { disk, space } = this.#options
    const isRejects = rejects.length > 0
    if (disk.works && (space.isAmple || isRejects)) {
      return space.fits(bytes) ? undefined : 'the disk has no room for more'
    }
    if (!disk.isWritable || isRejects) return 'the disk has no room for more'
    // Not acknowledged alone: their pages are free once they are deleted.
    const isDelivered = this.#options.gone() >= this.#end
    return isDelivered ? undefined : 'the disk is nearly full; it waits for deliveries'
  }

  #write({ row, next, events, rejects }: CarryPart): void {
    const { db, positions, space, disk, onPart, onCarriedOver } = this.#options
    const added = db.transaction(() => {
      this.#putEvents(events)
      this.#statements.note.run(next)
      return this.#options.rejects.carryOver(rejects)
    })()
    this.#part = undefined
    Object.assign(row, next)
    this.#options.rejects.carriedOver(added)
    positions.carried(this.#end, this.#left)
    if (disk.works) disk.attempt(() => space.checkLog())
    else space.tryToEmptyLog()
    if (isCarried(row)) endCarrying(this.#options.dir, row.folder)
    onPart()
    if (this.#isDone) onCarriedOver?.(this.#describe())
  }

  #putEvents(events: CarryPart['events']): void {
    let [seq, renumbered] = [this.#end, this.#sum('renumbered')]
    for (const { body, isStamped, receivedMs } of events) {
      this.#statements.put.run(++seq, isStamped ? null : ++renumbered, receivedMs, body)
    }
  }
}

function prepare(db: Db) {
  return {
    put: db.prepare('insert into event (seq, source_seq, received_ms, body) values (?, ?, ?, ?)'),
    note: db.prepare(`update carry set low = @low, high = @high, reject = @reject, carried = @carried,
      renumbered = @renumbered, unreadable = @unreadable, unreadable_rejects = @unreadable_rejects
      where folder = @folder`),
  }
}
