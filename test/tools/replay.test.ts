import assert from 'node:assert/strict'
import { copyFileSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { connect, type Store } from '../../src/store/connect.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, launch, startRole, until } from '../support/processes.ts'
import { lines, wafermon } from '../support/run.ts'

const op = { operation: 'test', table: 'none' }

type FabRecord = {
  job_id: string
  parent_id: string | null
  status: string
  start_ts: number | null
  end_ts: number | null
}

/** What a fab of ten minutes did, as the program writes it. */
async function recorded(): Promise<{ file: string; records: FabRecord[] }> {
  const file = join(freshFolder(), 'fab.ndjson')
  const args = ['simulate', '--records', file, '--seed', '7', '--duration', '600', '--rate', '20']
  const { code, err } = await wafermon(args)
  assert.equal(code, 0, err)
  return { file, records: lines(readFileSync(file, 'utf8')) as FabRecord[] }
}

/** Rows that a replay must end with, and events that it must send. */
function expected(records: readonly FabRecord[]) {
  const rows: Record<string, { n: number; events: number }> = {}
  for (const { parent_id, status, start_ts, end_ts } of records) {
    if (start_ts === null) continue
    const stored = status === 'completed' ? 'succeeded' : status
    const name = `${parent_id ? 'subjob' : 'job'} ${stored}`
    rows[name] ??= { n: 0, events: 0 }
    const row = rows[name]
    row.n++
    row.events += end_ts === null ? 1 : 2
  }
  return rows
}

type Counted = { kind: string; status: string; n: number; events: number; updated: string }

/** What would change if anything did. */
async function counted(store: Store): Promise<Counted[]> {
  const of = (table: string) =>
    `select '${table}' as kind, status, count(*)::int as n, sum(event_count)::int as events, max(updated_at)::text as updated from ${table} group by 2`
  const rows = await store.ask<Counted[]>(op, (sql) =>
    sql.unsafe(`${of('job')} union all ${of('subjob')} order by 1, 2`),
  )
  return rows.map((row) => ({ ...row }))
}

/** Replays through a sidecar with a new, empty spool, and waits until all of it is stored. */
async function replay(
  t: TestContext,
  file: string,
  localApi: string,
): Promise<Record<string, number>> {
  const sidecar = await startRole(t, 'sidecar', {
    SPOOL_DIR: freshFolder(),
    LOCAL_API_BASE: localApi,
  })
  const run = launch(['replay', file, '--url', sidecar.url, '--json'], {})
  assert.equal((await run.ended).code, 0, run.logs())
  await until('the spool to be empty', async () => {
    const health = (await (await fetch(`${sidecar.url}/v1/healthz`)).json()) as {
      spool_count: number
    }
    return health.spool_count === 0
  })
  await sidecar.stop()
  return JSON.parse(
    run
      .logs()
      .split('\n')
      .find((line) => line.startsWith('{'))!,
  ) as Record<string, number>
}

const received = async (localApi: string) => {
  const { items } = (await (await fetch(`${localApi}/v1/sources`)).json()) as {
    items: { received: number; gaps: unknown[] }[]
  }
  assert.deepEqual(
    items.flatMap((source) => source.gaps),
    [],
  )
  return items.reduce((sum, source) => sum + source.received, 0)
}

describe('wafermon replay', () => {
  test('ends with the counts of the file, and changes nothing the second time', async (t) => {
    const { url } = await freshDatabase(t)
    const store = connect(url, { role: 'test', max: 1 })
    t.after(() => store.close())
    const localApi = await startRole(t, 'local-api', { DATABASE_URL: url })
    const { file, records } = await recorded()
    const wanted = expected(records)

    const first = await replay(t, file, localApi.url)
    const rows = await counted(store)
    assert.deepEqual(
      Object.fromEntries(
        rows.map(({ kind, status, n, events }) => [`${kind} ${status}`, { n, events }]),
      ),
      wanted,
    )
    const waiting = records.filter(({ start_ts }) => start_ts === null).length
    assert.deepEqual([first.records, first.waiting], [records.length, waiting])
    const sent = Object.values(wanted).reduce((sum, { events }) => sum + events, 0)
    assert.deepEqual([first.sent, first.accepted, await received(localApi.url)], [sent, sent, sent])

    const copy = join(freshFolder(), 'elsewhere.ndjson')
    copyFileSync(file, copy)
    const second = await replay(t, copy, localApi.url)
    assert.deepEqual([second.sent, second.accepted], [sent, sent])
    assert.deepEqual(await counted(store), rows)
    assert.equal(await received(localApi.url), 2 * sent)
    const metrics = await (await fetch(`${localApi.url}/metrics`)).text()
    const duplicates =
      metrics.match(/events_processed_total\{event_type="\w+",status="duplicate"\} (\d+)/g) ?? []
    const sum = duplicates.reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
    assert.equal(sum, sent)
  })

  test('names a line that is no record, and takes the others', async (t) => {
    const sidecar = await startRole(t, 'sidecar', {
      SPOOL_DIR: freshFolder(),
      LOCAL_API_BASE: 'http://127.0.0.1:9',
    })
    const good = JSON.stringify({
      trace: 't',
      job_id: '1',
      name: 'L1',
      app: 'a',
      start_ts: 1,
      end_ts: 2,
      status: 'completed',
    })
    const file = join(freshFolder(), 'bad.ndjson')
    writeFileSync(file, `${good}\n{"trace": 5}\nnot json\n`)
    const run = launch(['replay', file, '--url', sidecar.url], {})
    assert.equal((await run.ended).code, 1)
    assert.match(run.logs(), /bad\.ndjson:2: trace/)
    assert.match(run.logs(), /bad\.ndjson:3: is not JSON/)
    assert.match(run.logs(), /accepted +2/)
  })
})
