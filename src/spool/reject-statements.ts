import type { Db } from './db.ts'

export type RejectStatements = ReturnType<typeof prepareRejects>

/** The statements of the rejects of a spool, prepared once. */
export function prepareRejects(db: Db) {
  const columns = 'id, sink, seq, rejected_ms as rejectedMs, field, detail'
  const rest = 'retry_at is null'
  const ofSink = '(@sink is null or sink = @sink)'
  // octet_length does not read the pages of a long body.
  const counts = 'sink, count(*) as count, sum(octet_length(body)) as bytes'
  return {
    list: db.prepare(
      `select ${columns} from reject where id < @beforeId and ${rest} and ${ofSink} order by id desc limit @limit`,
    ),
    byId: db.prepare(`select ${columns}, body from reject where id = ? and ${rest}`),
    exists: db.prepare('select 1 from reject where id = ?'),
    counts: db.prepare(
      `select ${counts}, retry_at is not null as isRetried from reject group by sink, isRetried`,
    ),
    countsOf: db.prepare(
      `select ${counts} from reject where id between @first and @last and ${rest} and ${ofSink} group by sink`,
    ),
    lastId: db.prepare('select coalesce(max(id), 0) from reject').pluck(),
    put: db.prepare(
      'insert into reject (id, sink, seq, rejected_ms, field, detail, body) values (?, ?, ?, ?, ?, ?, ?)',
    ),
    /** One that is offered again is its sink's: it is not dropped with its neighbors. */
    drop: db.prepare(
      `delete from reject where id between @first and @last and ${rest} and ${ofSink}`,
    ),
    taken: db.prepare('delete from reject where id = ?'),
    dropOf: db.prepare('delete from reject where sink = ?'),
    retry: db.prepare('update reject set retry_at = ?, tries = tries + 1, body = ? where id = ?'),
    due: db.prepare(
      'select id, seq, body from reject where sink = ? and retry_at is not null order by id limit ?',
    ),
    rest: db.prepare(
      'update reject set retry_at = null, field = ?, detail = ?, rejected_ms = ? where id = ?',
    ),
  }
}
