import Database from 'better-sqlite3'
import { clock } from '../platform/clock.ts'
import { epochPattern } from './schema.ts'
import { stamp } from './stamp.ts'

/*
 * Carries over what can still be read of a damaged spool. One event at a time: a spool may be
 * larger than the memory there is.
 */

type Db = InstanceType<typeof Database>

/** A row of a damaged spool, as far as one can tell. */
type Row = { source_seq: unknown; received_ms: unknown; body: unknown }

/** How many events were carried over, and how many that should have been there were not. */
export type Salvaged = { salvaged: number; unreadable: number }

/**
 * Copies the events that wait for delivery in the database at `path` into a new one, each with the
 * stamp that it had.
 *
 * @throws the error of SQLite when the disk does not answer at all: then nothing is known to be lost
 */
export function salvage(path: string, into: Db, sourceId: string): Salvaged {
  let db: Db | undefined
  try {
    db = new Database(path)
    const meta = attempt(() => db!.prepare('select epoch from meta').pluck().get())
    const epoch = typeof meta.value === 'string' && epochPattern.test(meta.value) && meta.value
    const acked = attempt(() => readAcked(db!)).value ?? 0
    const seqs = readableSeqs(db, acked)
    if (seqs.length === 0 && isIoError(meta.error)) throw meta.error
    const salvaged = copy(db, seqs, into, (row) => stamped(row, sourceId, epoch || 'lost'))
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

function copy(db: Db, seqs: number[], into: Db, bodyOf: (row: Row) => string | undefined): number {
  const put = into.prepare(
    'insert into event (seq, source_seq, received_ms, body) values (?, null, ?, ?)',
  )
  let copied = 0
  into.transaction(() => {
    const read = attempt(() => db.prepare('select * from event where seq = ?')).value
    for (const seq of seqs) {
      const row = attempt(() => read?.get(seq) as Row | undefined).value
      const body = row && bodyOf(row)
      if (body === undefined) continue
      copied++
      put.run(
        copied,
        Number.isSafeInteger(row?.received_ms) ? row?.received_ms : clock.nowMs(),
        body,
      )
    }
    into.prepare('update meta set forwarded = ?').run(copied)
  })()
  return copied
}

/** Those that can be read, as they are: their events have their stamp. */
function copyRejects(db: Db, into: Db): void {
  const put = into.prepare(
    'insert into reject (sink, seq, rejected_ms, field, detail, body) values (?, ?, ?, ?, ?, ?)',
  )
  attempt(() => {
    const all = db.prepare('select sink, seq, rejected_ms, field, detail, body from reject').raw()
    for (const row of all.iterate()) attempt(() => put.run(row))
  })
}

/** The event as it would have been sent; undefined when it is none any more. */
function stamped({ body, source_seq }: Row, sourceId: string, epoch: string): string | undefined {
  if (typeof body !== 'string' || !body.startsWith('{')) return undefined
  if (attempt(() => JSON.parse(body)).error) return undefined
  if (source_seq === null) return body
  return Number.isSafeInteger(source_seq)
    ? stamp(body, sourceId, epoch, source_seq as number)
    : undefined
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
