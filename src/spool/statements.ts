import type { Statement } from 'better-sqlite3'
import type { Db } from './db.ts'

/** A row of `event`. */
export type Row = {
  seq: number
  source_seq: number | null
  lane: number
  class: number
  body: string
}

/** A row of `sink`, see schema.ts. */
export type SinkRow = {
  name: string
  acked: number
  live_from: number | null
  live_acked: number | null
  required: number
  state: string | null
  delivered: number
  filtered: number
  rejected: number
  skipped: number
  first_seq: number
}

/** The row of `meta`. */
export type Meta = {
  id: string
  key_table: 'key_a' | 'key_b'
  key_since: number
  key_old_seq: number
}

export type Statements = ReturnType<typeof prepare>

const sinkNames: readonly (keyof SinkRow)[] = [
  ...(['name', 'acked', 'live_from', 'live_acked', 'required', 'state'] as const),
  ...(['delivered', 'filtered', 'rejected', 'skipped', 'first_seq'] as const),
]
const sinkColumns = sinkNames.join(', ')
const sinkValues = sinkNames.map((name) => `@${name}`).join(', ')

/** The statements of a spool, prepared once. */
export function prepare(db: Db) {
  const keys = (table: string) => ({
    has: db.prepare(`select 1 from ${table} where key = ?`).pluck(),
    put: inserts(db, `insert into ${table} (key) values`, '(?)'),
  })
  return {
    begin: db.prepare('begin immediate'),
    commit: db.prepare('commit'),
    keys: { key_a: keys('key_a'), key_b: keys('key_b') },
    put: inserts(
      db,
      'insert into event (seq, source_seq, received_ms, body, bytes_to, lane, class) values',
      '(?, ?, ?, ?, ?, ?, ?)',
    ),
    after: db.prepare(
      'select seq, source_seq, lane, class, body from event where seq > ? order by seq limit ?',
    ),
    oldest: db.prepare('select received_ms from event where seq > ? order by seq limit 1').pluck(),
    dropTo: db.prepare('delete from event where seq <= ?'),
    received: db.prepare('select received_ms from event where seq = ?').pluck(),
    bytesTo: db.prepare('select bytes_to from event where seq = ?').pluck(),
    bytesBefore: db
      .prepare('select bytes_to - octet_length(body) from event where seq > ? order by seq limit 1')
      .pluck(),
    setSink: db.prepare(`insert or replace into sink (${sinkColumns}) values (${sinkValues})`),
    dropSink: db.prepare('delete from sink where name = ?'),
    putGap: db.prepare(`insert or replace into gap values (@id, @sink, @from_seq, @to_seq, @events,
      @from_ms, @to_ms, @at_ms, @reason)`),
    setKeys: db.prepare('update meta set key_table = ?, key_since = ?, key_old_seq = ?'),
    probe: [
      db.prepare("insert into sink (name, acked) values ('', 0)"),
      db.prepare("delete from sink where name = ''"),
    ],
  }
}

/** Rows of one statement: beyond it little is saved. */
const chunk = 16

/** An insert of one row, and one of a chunk of them. */
function inserts(db: Db, head: string, row: string): Inserts {
  const many = db.prepare(`${head} ${Array(chunk).fill(row).join(', ')}`)
  return { one: db.prepare(`${head} ${row}`), many, chunk }
}

export type Inserts = { one: Statement; many: Statement; chunk: number }

export const otherTable = (table: 'key_a' | 'key_b') => (table === 'key_a' ? 'key_b' : 'key_a')
