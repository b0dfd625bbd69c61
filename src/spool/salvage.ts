import { existsSync } from 'node:fs'
import Database from 'better-sqlite3'
import { clock } from '../platform/clock.ts'
import { lastCarried, unknownLastReject } from './carry-table.ts'
import type { KeptSink } from './cursors.ts'
import { attempt, DamagedTable, type Range } from './damaged-table.ts'
import type { Db } from './db.ts'
import { type Epoch, findEpoch, readEpochs } from './epochs.ts'
import type { RejectRow } from './rejects.ts'
import { epochPattern } from './schema.ts'
import { stamp } from './stamp.ts'

/*
 * What can still be read of a damaged spool, in order and part by part: it may be larger than the
 * memory there is, and reading all of it takes as long as the disk does.
 */

/** A row of a damaged spool, as far as one can tell. */
type Row = { seq: number; source_seq: unknown; received_ms: unknown; body: unknown }

/** An event that can be read. `isStamped`: it bears its stamp, which else is lost. */
export type Salvaged = { body: string; isStamped: boolean; receivedMs: number }

export type SalvagedPart = {
  events: Salvaged[]
  /** Up to here there is nothing more; of these numbers `unreadable` had an event that is lost. */
  upTo: number
  unreadable: number
  isLast: boolean
}

export type RejectsPart = {
  rejects: RejectRow[]
  upTo: number
  unreadable: number
  isLast: boolean
}

/** Events that the spool itself had carried over from one before it, and those that came in. */
export type Half = 'low' | 'high'
const ends: Record<Half, number> = { low: 0, high: Number.MAX_SAFE_INTEGER }

export class DamagedSpool {
  readonly #db: Db
  readonly #epochs: readonly Epoch[]
  readonly #last: number | undefined
  readonly #events: DamagedTable<Row>
  readonly #rejects: DamagedTable<RejectRow>

  /**
   * @param sourceId the id of this sidecar
   * @param last number of its last event, as far as that is known from elsewhere
   * @throws SqliteError when it cannot be opened, as on a full disk
   */
  constructor(path: string, sourceId: string, last: number | undefined) {
    this.#db = openDamaged(path)
    this.#last = last
    this.#epochs = readAnyEpochs(this.#db, sourceId)
    this.#events = new DamagedTable(this.#db, 'event', 'seq', 'seq, source_seq, received_ms, body')
    const columns = 'id, sink, seq, rejected_ms, field, detail, body'
    this.#rejects = new DamagedTable(this.#db, 'reject', 'id', columns)
  }

  /** The next events after a number, as many as may be written at a time. */
  read(half: Half, after: number): SalvagedPart {
    const { rows, ...part } = this.#events.read({ after, upTo: ends[half] })
    const events = rows.flatMap((row) => this.#toEvent(row) ?? [])
    const last = part.isLast ? (this.#lastOf(half) ?? part.upTo) : part.upTo
    const upTo = Math.max(part.upTo, last)
    // A number that was misread must not count for millions.
    const had = Math.min(upTo, half === 'high' ? (this.#last ?? upTo) : upTo) - after
    return { events, upTo, unreadable: Math.max(0, had - events.length), isLast: part.isLast }
  }

  #lastOf(half: Half): number | undefined {
    if (half === 'high') return this.#last ?? attempt(() => lastByKeys(this.#db)).value
    return attempt(() => lastCarried(this.#db)).value
  }

  #toEvent(row: Row): Salvaged | undefined {
    const { body, received_ms } = row
    if (!isEvent(body)) return undefined
    const stamped = row.source_seq === null ? body : this.#stamp(row, body)
    const receivedMs = Number.isSafeInteger(received_ms) ? (received_ms as number) : clock.nowMs()
    return { body: stamped ?? body, isStamped: stamped !== undefined, receivedMs }
  }

  /** The event as it would have been sent; undefined when its stamp is lost. */
  #stamp({ seq, source_seq }: Row, body: string): string | undefined {
    const own = findEpoch(this.#epochs, seq)
    if (!own || !Number.isSafeInteger(source_seq)) return undefined
    return stamp(body, own.sourceId, own.epoch, source_seq as number)
  }

  /** Those that can be read, as they are: their events have their stamp. `unreadable` of them cannot, at most. */
  readRejects(range: Range): RejectsPart {
    const { rows, upTo, passed, isLast } = this.#rejects.read(range)
    const rejects = rows.filter(isReject)
    // Where even the last number is unknown, there is one at least: something cannot be read.
    const known = range.upTo === unknownLastReject && isLast ? Math.min(1, passed) : passed
    return { rejects, upTo, unreadable: known + rows.length - rejects.length, isLast }
  }

  close(): void {
    this.#db.close()
  }
}

/** Without a file beside it that a full disk has no room for. */
function openDamaged(path: string): Db {
  const db = new Database(path, { fileMustExist: true })
  attempt(() => db.pragma('locking_mode = exclusive'))
  return db
}

/** What a damaged database says of itself, as far as a few pages of it can be read. */
export type Sketch = {
  id?: string
  acked?: number
  lastReject?: number
  sinks?: readonly KeptSink[]
}

/**
 * Takes the same time whatever the size of the database.
 *
 * @throws the error of SQLite when the disk does not answer at all: then nothing is known to be lost
 */
export function sketchDamaged(path: string): Sketch {
  if (!existsSync(path)) return {}
  const db = openDamaged(path)
  try {
    const ask = (sql: string) => attempt(() => db.prepare(sql).pluck().get())
    const [id, last] = [ask('select id from meta'), ask('select max(seq) from event')]
    if (isIoError(id.error) && isIoError(last.error)) throw id.error
    const acked = believeAcked(ask('select min(acked) from sink').value, last.value)
    const rejects = ask('select max(id) from reject')
    const sinks = readSinks(db)
    return {
      ...(typeof id.value === 'string' ? { id: id.value } : {}),
      ...(acked === undefined ? {} : { acked }),
      ...(rejects.error === undefined ? { lastReject: Number(rejects.value ?? 0) } : {}),
      ...(sinks.length > 0 ? { sinks } : {}),
    }
  } finally {
    db.close()
  }
}

function readSinks(db: Db): KeptSink[] {
  const all = attempt(() => db.prepare('select * from sink').all() as Record<string, unknown>[])
  return (all.value ?? []).flatMap(({ name, required, state = null }) => {
    const isSound = typeof name === 'string' && (typeof state === 'string' || state === null)
    return isSound ? [{ name, required: required === 0 ? 0 : 1, state }] : []
  })
}

/**
 * Everything up to here was delivered everywhere. Not believed when it is after the last event, as in
 * cursors.ts: then all events that are there are carried over.
 */
function believeAcked(acked: unknown, last: unknown): number | undefined {
  if (!Number.isSafeInteger(acked)) return undefined
  const isAfter = typeof last === 'number' && (acked as number) > Math.max(0, last)
  return isAfter ? undefined : (acked as number)
}

/** The last number, counted from the keys: every event since they last took turns left one. */
function lastByKeys(db: Db): number {
  const { key_table, key_old_seq } = db.prepare('select * from meta').get() as Record<string, never>
  const keys = db.prepare(`select count(*) from "${key_table}"`).pluck().get() as number
  return Number(key_old_seq) + keys
}

/** Also of format 1, where the database was the epoch. None when they cannot be relied on. */
function readAnyEpochs(db: Db, sourceId: string): Epoch[] {
  const found = attempt(() => readEpochs(db)).value
  if (found && found.length > 0) return found
  const epoch = attempt(() => db.prepare('select epoch from meta').pluck().get()).value
  if (typeof epoch !== 'string' || !epochPattern.test(epoch)) return []
  return [{ firstSeq: 0, sourceId, epoch }]
}

/** False for what is none any more. */
const isEvent = (body: unknown): body is string =>
  typeof body === 'string' && body.startsWith('{') && !attempt(() => JSON.parse(body)).error

const isReject = ({ sink, seq, rejected_ms, field, detail, body }: RejectRow) =>
  [sink, field, detail, body].every((text) => typeof text === 'string') &&
  Number.isSafeInteger(seq) &&
  Number.isSafeInteger(rejected_ms)

const isIoError = (error: unknown) =>
  /^SQLITE_IOERR/.test((error as { code?: string } | undefined)?.code ?? '')
