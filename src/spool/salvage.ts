import Database from 'better-sqlite3'
import { clock } from '../platform/clock.ts'
import type { Db } from './db.ts'
import { isDiskError } from './disk-error.ts'
import { type Epoch, findEpoch, newEpoch, readEpochs } from './epochs.ts'
import { epochPattern } from './schema.ts'
import { newSourceId } from './source-id.ts'
import { stamp } from './stamp.ts'

/*
 * Carries over what can still be read of a damaged spool. One event at a time: a spool may be
 * larger than the memory there is.
 */

/** A row of a damaged spool, as far as one can tell. */
type Row = { seq: number; source_seq: unknown; received_ms: unknown; body: unknown }

/** How many events were carried over, and how many that should have been there were not. */
export type Salvaged = { salvaged: number; unreadable: number }

/**
 * Copies the events that wait for delivery in the database at `path` into a new one, each with the
 * stamp that it had. Where that cannot be read any more they are numbered again, for a wrong stamp may
 * be that of another event.
 *
 * @param sourceId the id of this sidecar, as far as it is known
 * @throws the error of SQLite when the disk does not answer at all: then nothing is known to be lost
 */
export function salvage(path: string, into: Db, sourceId: string | undefined): Salvaged {
  let db: Db | undefined
  try {
    db = new Database(path)
    const format = attempt(() => db!.prepare('select format from meta').pluck().get())
    const epochs = readAnyEpochs(db, sourceId)
    const acked = attempt(() => readAcked(db!)).value ?? 0
    const seqs = readableSeqs(db, acked)
    if (seqs.length === 0 && isIoError(format.error)) throw format.error
    const salvaged = copy(db, seqs, into, epochs, sourceId)
    copyRejects(db, into)
    const last = Math.max(seqs.at(-1) ?? 0, attempt(() => lastKnown(db!)).value ?? 0)
    return { salvaged, unreadable: Math.max(0, last - acked - salvaged) }
  } finally {
    db?.close()
  }
}

/** The last `seq`, counted from the keys: every event since they last took turns left one. */
function lastKnown(db: Db): number {
  const { key_table, key_old_seq } = db.prepare('select * from meta').get() as Record<string, never>
  const keys = db.prepare(`select count(*) from "${key_table}"`).pluck().get() as number
  return Number(key_old_seq) + keys
}

/**
 * Everything up to here was delivered everywhere. Not believed when it is after the last event, as in
 * cursors.ts: then all events that are there are carried over.
 */
function readAcked(db: Db): number {
  const acked = Number(db.prepare('select min(acked) from sink').pluck().get() ?? 0)
  const last = attempt(() => db.prepare('select max(seq) from event').pluck().get()).value
  return typeof last === 'number' && acked > last ? 0 : acked
}

/** Forward until the first page that cannot be read, then backward to it. */
function readableSeqs(db: Db, acked: number): number[] {
  const forward = collect(db, 'asc', acked)
  const backward = collect(db, 'desc', forward.at(-1) ?? acked)
  return [...forward, ...backward.reverse()]
}

function collect(db: Db, order: 'asc' | 'desc', after: number): number[] {
  const seqs: number[] = []
  attempt(() => {
    const all = db.prepare(`select seq from event where seq > ? order by seq ${order}`).pluck()
    for (const seq of all.iterate(after) as IterableIterator<number>) seqs.push(seq)
  })
  return seqs
}

/** Also of format 1, where the database was the epoch. None when they cannot be relied on. */
function readAnyEpochs(db: Db, sourceId: string | undefined): Epoch[] {
  const found = attempt(() => readEpochs(db)).value
  if (found && found.length > 0) return found
  const epoch = attempt(() => db.prepare('select epoch from meta').pluck().get()).value
  if (sourceId === undefined || typeof epoch !== 'string' || !epochPattern.test(epoch)) return []
  return [{ firstSeq: 0, sourceId, epoch }]
}

function copy(
  db: Db,
  seqs: number[],
  into: Db,
  epochs: readonly Epoch[],
  sourceId: string | undefined,
): number {
  const put = into.prepare(
    'insert into event (seq, source_seq, received_ms, body) values (?, ?, ?, ?)',
  )
  let copied = 0
  let renumbered = 0
  into.transaction(() => {
    const read = attempt(() => db.prepare('select * from event where seq = ?')).value
    for (const seq of seqs) {
      const row = attempt(() => read?.get(seq) as Row | undefined).value
      if (row === undefined || !isEvent(row.body)) continue
      copied++
      const body = stamped(row, row.body, epochs)
      const receivedMs = Number.isSafeInteger(row.received_ms) ? row.received_ms : clock.nowMs()
      put.run(copied, body === undefined ? ++renumbered : null, receivedMs, body ?? row.body)
    }
    if (renumbered === 0) return
    into.prepare('insert into epoch values (0, ?, ?)').run(sourceId ?? newSourceId(), newEpoch())
  })()
  return copied
}

/** Those that can be read, as they are: their events have their stamp. */
function copyRejects(db: Db, into: Db): void {
  const put = into.prepare(
    'insert into reject (sink, seq, rejected_ms, field, detail, body) values (?, ?, ?, ?, ?, ?)',
  )
  into.transaction(() => {
    const all = attempt(() =>
      db.prepare('select sink, seq, rejected_ms, field, detail, body from reject').raw().iterate(),
    ).value
    try {
      for (;;) {
        const next = attempt(() => all?.next()).value
        if (!next || next.done) return
        const { error } = attempt(() => put.run(next.value))
        // What is damaged is left; a disk without room must not pass for damage.
        if (error && isDiskError(error)) throw error
      }
    } finally {
      // Open, it would keep the database from being closed.
      attempt(() => all?.return?.())
    }
  })()
}

/** False for what is none any more. */
const isEvent = (body: unknown): body is string =>
  typeof body === 'string' && body.startsWith('{') && !attempt(() => JSON.parse(body)).error

/** The event as it would have been sent; undefined when its stamp is lost. */
function stamped({ seq, source_seq }: Row, body: string, epochs: readonly Epoch[]) {
  if (source_seq === null) return body
  const own = findEpoch(epochs, seq)
  if (!own || !Number.isSafeInteger(source_seq)) return undefined
  return stamp(body, own.sourceId, own.epoch, source_seq as number)
}

function attempt<T>(read: () => T): { value?: T; error?: unknown } {
  try {
    return { value: read() }
  } catch (error) {
    return { error }
  }
}

const isIoError = (error: unknown) =>
  /^SQLITE_IOERR/.test((error as { code?: string } | undefined)?.code ?? '')
