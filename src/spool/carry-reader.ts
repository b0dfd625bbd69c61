import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { must } from '../core/must.ts'
import { type CarryRow, endOfNumbers } from './carry-table.ts'
import type { RejectRow } from './rejects.ts'
import { DamagedSpool, type Half, type Salvaged, type SalvagedPart } from './salvage.ts'

/** The next piece of what is carried over, and how far its database is once it is written. */
export type CarryPart = {
  row: CarryRow
  next: CarryRow
  bytes: number
  events: readonly Salvaged[]
  rejects: RejectRow[]
}

/** Reads what can be read of damaged databases, part by part, in the order in which it is carried over. */
export class CarryReader {
  readonly #dir: string
  readonly #sourceId: string
  #open: { folder: string; spool: DamagedSpool } | undefined

  constructor(dir: string, sourceId: string) {
    this.#dir = dir
    this.#sourceId = sourceId
  }

  /** @throws SqliteError when a database cannot be opened, as on a full disk */
  readNext(rows: readonly CarryRow[]): CarryPart {
    // What was carried over before comes before what came in after that.
    const low = rows.findLast((row) => row.low < 0)
    if (low) return this.#readEvents(low, 'low')
    const high = rows.find((row) => row.high < endOfNumbers)
    if (high) return this.#readEvents(high, 'high')
    // Last, for they stay: events must not wait for the room that they take.
    const reject = rows.find((row) => row.reject < row.last_reject)
    return this.#readRejects(must(reject, 'something is left'))
  }

  #readEvents(row: CarryRow, half: Half): CarryPart {
    const part = this.#spoolOf(row)?.read(half, row[half]) ?? allGone(row, half)
    const { events, upTo, unreadable, isLast } = part
    const atEnd = half === 'low' ? 0 : endOfNumbers
    const next = {
      ...row,
      [half]: isLast ? atEnd : upTo,
      carried: row.carried + events.length,
      renumbered: row.renumbered + events.filter(({ isStamped }) => !isStamped).length,
      unreadable: row.unreadable + unreadable,
    }
    return { row, next, bytes: bytesOf(events), events, rejects: [] }
  }

  #readRejects(row: CarryRow): CarryPart {
    const range = { after: row.reject, upTo: row.last_reject }
    const none = { rejects: [], upTo: row.last_reject, unreadable: 0, isLast: true }
    const { rejects, upTo, unreadable, isLast } = this.#spoolOf(row)?.readRejects(range) ?? none
    const next = {
      ...row,
      reject: isLast ? row.last_reject : upTo,
      unreadable_rejects: row.unreadable_rejects + unreadable,
    }
    return { row, next, bytes: bytesOf(rejects), events: [], rejects }
  }

  /** @returns undefined when the damaged database is not there any more */
  #spoolOf({ folder, last }: CarryRow): DamagedSpool | undefined {
    if (this.#open?.folder !== folder) {
      this.close()
      const path = join(this.#dir, folder, 'spool.db')
      if (!existsSync(path)) return undefined
      this.#open = { folder, spool: new DamagedSpool(path, this.#sourceId, last ?? undefined) }
    }
    return this.#open?.spool
  }

  close(): void {
    this.#open?.spool.close()
    this.#open = undefined
  }
}

function allGone({ last, high }: CarryRow, half: Half): SalvagedPart {
  const unreadable = half === 'high' ? Math.max(0, (last ?? high) - high) : 0
  return { events: [], upTo: 0, unreadable, isLast: true }
}

const bytesOf = (items: readonly { body: string }[]) =>
  items.reduce((sum, { body }) => sum + body.length, 0)
