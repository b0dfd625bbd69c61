import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { must } from '../core/must.ts'
import { type CarryRow, endOfNumbers, isCarried } from './carry-table.ts'
import { isLarge } from './check-behind.ts'
import { attempt } from './damaged-table.ts'
import type { Db } from './db.ts'
import { isDiskError } from './disk-error.ts'
import type { DiskGuard } from './disk-guard.ts'
import { firstCarried, type Positions } from './positions.ts'
import type { RejectRow, Rejects } from './rejects.ts'
import { DamagedSpool, type Half, type SalvagedPart } from './salvage.ts'
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
 *   4. On a full disk it takes little of the space of the ballast, and waits for deliveries to make room.
 */

/** A damaged database and what of it could be carried over. */
export type Damage = { movedTo: string; reason: string; salvaged: number; unreadable: number }

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
  /** False when nothing may be written. */
  canWrite: () => boolean
  /** Called after every part: there may be more to deliver. */
  onPart: () => void
  /** Called once, when everything that can be read was carried over. */
  onCarriedOver?: (damage: Damage) => void
  /** Larger databases are carried over behind the opening; for tests. */
  largeBytes?: number
}

type Part = { row: CarryRow; next: CarryRow; write: () => void; written: () => void; bytes: number }

/** Between attempts while there is no room, in milliseconds: a look that costs next to nothing. */
const againMs = 100

export class CarryOver {
  readonly #options: CarryOverOptions
  readonly #statements: ReturnType<typeof prepare>
  readonly #rows: CarryRow[]
  #reader: { folder: string; spool: DamagedSpool } | undefined
  /** Read, and not written yet. */
  #part: Part | undefined
  #later: NodeJS.Timeout | undefined
  #isStopped = false
  #trouble: string | undefined

  constructor(options: CarryOverOptions) {
    this.#options = options
    this.#rows = options.carry
    this.#statements = prepare(options.db)
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

  /** How many events are still to be carried over; while that is not known, and at least, one of each database. */
  get #left(): number {
    const left = this.#rows
      .filter((row) => !isCarried(row))
      .map(({ last, high }) => Math.max(1, (last ?? high) - high))
    return left.reduce((sum, some) => sum + some, 0)
  }

  #describe(): Damage {
    const { folder, reason } = must(this.#rows.at(-1), 'something is carried over')
    const movedTo = join(this.#options.dir, folder)
    return { movedTo, reason, salvaged: this.#sum('carried'), unreadable: this.#sum('unreadable') }
  }

  #sum(column: 'carried' | 'renumbered' | 'unreadable'): number {
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
    if (this.#isDone) this.#close()
    else this.#later = setTimeout(() => this.#continue(), ms).unref()
  }

  #continue(): void {
    const beganMs = performance.now()
    const wentOn = this.#step()
    if (!this.#isStopped) this.#continueIn(wentOn ? performance.now() - beganMs : againMs)
  }

  stop(): void {
    this.#isStopped = true
    clearTimeout(this.#later)
    this.#close()
  }

  /** One part. @returns false when the disk does not take it at the moment */
  #step(): boolean {
    if (!this.#options.canWrite()) return false
    const { error } = attempt(() => {
      this.#part ??= this.#readNext()
    })
    this.#trouble = error ? `it cannot be opened: ${(error as Error).message}` : undefined
    return this.#part !== undefined && this.#tryWrite(this.#part)
  }

  #tryWrite(part: Part): boolean {
    if (!this.#hasRoom(part.bytes)) {
      this.#trouble = 'the disk has no room for more'
      return false
    }
    try {
      this.#write(part)
      return true
    } catch (error) {
      this.#options.disk.failed(error)
      if (!isDiskError(error)) throw error
      this.#trouble = this.#options.disk.trouble
      return false
    }
  }

  #hasRoom(bytes: number): boolean {
    const { disk, space } = this.#options
    if (disk.works) return space.fits(bytes)
    return disk.isWritable && space.fitsWithoutBallast(bytes)
  }

  #write({ row, next, write, written }: Part): void {
    const { db, positions, space, disk, onPart, onCarriedOver } = this.#options
    db.transaction(() => {
      write()
      this.#statements.note.run(next)
    })()
    this.#part = undefined
    Object.assign(row, next)
    written()
    positions.carried(this.#end, this.#left)
    disk.attempt(() => (disk.works ? space.checkLog() : space.emptyLog()))
    if (isCarried(row)) endCarrying(this.#options.dir, row.folder)
    onPart()
    if (this.#isDone) onCarriedOver?.(this.#describe())
  }

  #readNext(): Part {
    const rows = this.#rows
    const reject = rows.find((row) => row.reject < row.last_reject)
    if (reject) return this.#readRejects(reject)
    // What was carried over before comes before what came in after that.
    const low = rows.findLast((row) => row.low < 0)
    if (low) return this.#readEvents(low, 'low')
    const high = rows.find((row) => row.high < endOfNumbers)
    return this.#readEvents(must(high, 'something is left'), 'high')
  }

  #readRejects(row: CarryRow): Part {
    const range = { after: row.reject, upTo: row.last_reject }
    const none = { rejects: [], upTo: row.last_reject, isLast: true }
    const { rejects, upTo, isLast } = this.#open(row)?.readRejects(range) ?? none
    const next = { ...row, reject: isLast ? row.last_reject : upTo }
    let added: RejectRow[] = []
    const write = () => {
      added = this.#options.rejects.carryOver(rejects)
    }
    const written = () => this.#options.rejects.carriedOver(added)
    return { row, next, bytes: bytesOf(rejects), write, written }
  }

  #readEvents(row: CarryRow, half: Half): Part {
    const part = this.#open(row)?.read(half, row[half]) ?? allGone(row, half)
    const { events, upTo, unreadable, isLast } = part
    const atEnd = half === 'low' ? 0 : endOfNumbers
    const next = {
      ...row,
      [half]: isLast ? atEnd : upTo,
      carried: row.carried + events.length,
      renumbered: row.renumbered + events.filter(({ isStamped }) => !isStamped).length,
      unreadable: row.unreadable + unreadable,
    }
    const write = () => this.#putEvents(events)
    return { row, next, bytes: bytesOf(events), write, written: () => {} }
  }

  #putEvents(events: SalvagedPart['events']): void {
    let [seq, renumbered] = [this.#end, this.#sum('renumbered')]
    for (const { body, isStamped, receivedMs } of events) {
      this.#statements.put.run(++seq, isStamped ? null : ++renumbered, receivedMs, body)
    }
  }

  /** @returns undefined when the damaged database is not there any more */
  #open({ folder, last }: CarryRow): DamagedSpool | undefined {
    if (this.#reader?.folder !== folder) {
      this.#close()
      const { dir, sourceId } = this.#options
      const path = join(dir, folder, 'spool.db')
      if (!existsSync(path)) return undefined
      this.#reader = { folder, spool: new DamagedSpool(path, sourceId, last ?? undefined) }
    }
    return this.#reader?.spool
  }

  #close(): void {
    this.#reader?.spool.close()
    this.#reader = undefined
  }
}

function allGone({ last, high }: CarryRow, half: Half): SalvagedPart {
  const unreadable = half === 'high' ? Math.max(0, (last ?? high) - high) : 0
  return { events: [], upTo: 0, unreadable, isLast: true }
}

const bytesOf = (items: readonly { body: string }[]) =>
  items.reduce((sum, { body }) => sum + body.length, 0)

function prepare(db: Db) {
  return {
    put: db.prepare('insert into event (seq, source_seq, received_ms, body) values (?, ?, ?, ?)'),
    note: db.prepare(`update carry set low = @low, high = @high, reject = @reject, carried = @carried,
      renumbered = @renumbered, unreadable = @unreadable where folder = @folder`),
  }
}
