import { once } from 'node:events'
import type { Event } from '../src/core/event.ts'
import { readEvent } from '../src/core/read-event.ts'
import { fromMs } from '../src/core/time.ts'
import { connect, type Pool, type Store } from '../src/store/connect.ts'
import { toEventRow } from '../src/store/event-row.ts'
import { startRole } from '../test/support/processes.ts'
import type { Bench, Claim, Context, Turn } from './frame/bench.ts'
import { Connection, expectOk, hammer } from './frame/connection.ts'
import { eventMaker } from './frame/events.ts'

const batch = 500
const op = { operation: 'bench', table: 'event' }

/** From the request to the committed rows, against what the database does with the bare rows. */
export const ingest: Bench = {
  name: 'ingest',
  about: `local API, batches of ${batch}: dedupe, fold and live position included, against inserting the same events alone, and against COPY`,
  unit: 'events/s',
  async start(context) {
    const { url, server } = await context.database()
    const api = await startLocalApi(context, url)
    const sides: Record<string, Turn> = {}
    const claims: Claim[] = []
    for (const connections of context.options.connections) {
      const store = connect(url, { role: 'bench', max: connections })
      context.after(() => store.close())
      const named = (name: string) => `${name}, ${connections} at a time`
      sides[named('local API')] = await postBatches(context, api, connections)
      sides[named('with attempts')] = await postBatches(context, api, connections, true)
      sides[named('insert alone')] = insertAlone(store, connections)
      sides[named('COPY')] = copy(store, connections)
      const side = named('local API')
      // The merge of a row a job is paid for on top: 0.35 is due, 0.45 the aim.
      claims.push({ side, against: named('insert alone'), atLeast: 0.35 })
      claims.push({ side: named('with attempts'), against: named('insert alone'), atLeast: 0.35 })
      claims.push({ side, against: named('COPY') })
    }
    return { sides, claims, facts: () => ({ database: server }) }
  },
}

export async function startLocalApi(context: Context, database: string): Promise<string> {
  const env = { DATABASE_URL: database, LOG_LEVEL: 'error' }
  return (await startRole(context, 'local-api', env)).url
}

/** Batches to the local API on several connections in parallel. @param attempts of jobs that wait and are tried twice */
export async function postBatches(
  context: Context,
  url: string,
  connections: number,
  attempts = false,
): Promise<Turn> {
  const maker = eventMaker({ attempts })
  const open = await Promise.all(Array.from({ length: connections }, () => Connection.open(url)))
  context.after(() => open.forEach((connection) => void connection.close()))
  return (seconds) =>
    hammer(open, seconds, async (connection) => {
      const answer = expectOk(await connection.post('/v1/ingest/events:batch', maker.batch(batch)))
      if (!answer.body.includes(`"success":${batch}`)) throw new Error(answer.body.slice(0, 300))
      return batch
    })
}

const columns = Object.keys(toEventRow(sample()))

function sample(): Event {
  const hop = { receivedAt: fromMs(Date.now()) }
  const read = readEvent(JSON.parse(eventMaker().next()), hop, {
    maxEventBytes: 1e6,
    maxSkewS: 600,
  })
  if (!read.ok) throw new Error(`the bench makes events that are refused: ${read.detail}`)
  return read.event
}

type Row = Record<string, unknown>

/** Rows as the local API would make them; no checks. */
function rowMaker(): () => Row[] {
  const maker = eventMaker()
  return () => {
    const received_at = fromMs(Date.now())
    const events = JSON.parse(maker.batch(batch)) as Event[]
    return events.map((event) => toEventRow({ ...event, received_at }))
  }
}

/** The least that takes a repeat for what it is: on conflict do nothing, in one statement. */
function insertAlone(store: Store, connections: number): Turn {
  const rows = rowMaker()
  const names = columns.join(', ')
  const statement = `insert into event (batch, ${names})
    select 0, ${names} from json_populate_recordset(null::event, $1::text::json)
    order by at, idempotency_key on conflict (at, idempotency_key) do nothing`
  return (seconds) =>
    insertFor(connections, seconds, async () => {
      const text = JSON.stringify(rows())
      await store.ask(op, (sql) => sql.unsafe(statement, [text], { prepare: true }))
    })
}

/** The fastest way into a table, which takes no repeats. */
function copy(store: Pool, connections: number): Turn {
  const rows = rowMaker()
  return (seconds) =>
    insertFor(connections, seconds, async () => {
      const lines = rows().map((row) => `0\t${columns.map((name) => cell(row[name])).join('\t')}\n`)
      const query = store.sql`copy event (batch, ${store.sql(columns)}) from stdin`
      const writable = await query.writable()
      writable.end(lines.join(''))
      await once(writable, 'finish')
    })
}

/** A value as COPY's text form has it. */
function cell(value: unknown): string {
  if (value === undefined || value === null) return '\\N'
  const text = typeof value === 'object' ? JSON.stringify(value) : String(value)
  return text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n')
}

async function insertFor(
  connections: number,
  seconds: number,
  once: () => Promise<void>,
): Promise<number> {
  const begin = performance.now()
  let events = 0
  const work = async () => {
    for (; performance.now() - begin < seconds * 1000; events += batch) await once()
  }
  await Promise.all(Array.from({ length: connections }, work))
  return (events / (performance.now() - begin)) * 1000
}
