import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { connect, type Store } from '../../src/store/connect.ts'
import { type PlannedJob, planJobs } from '../../src/tools/simulate/plan.ts'
import { freshDatabase } from '../support/database.ts'
import { freshFolder, launch, startRole, until } from '../support/processes.ts'

const op = { operation: 'test', table: 'none' }
const startMs = Date.UTC(2018, 0, 1)

/** Jobs of the simulated fab as records of a trace, out of order, some waiting, some still running. */
function recordsOf(jobs: number): object[] {
  const records: object[] = []
  for (const planned of planJobs({ seed: 7, startMs, jobsPerMinute: 30 })) {
    if (records.length >= jobs) break
    records.push(...wafersOf(planned), recordOf(planned))
  }
  const waiting = {
    trace: 'sim',
    job_id: 'W',
    name: 'L1',
    app: 'a',
    start_ts: null,
    end_ts: null,
    status: 'waiting',
  }
  return [...records.reverse(), waiting]
}

const status = (outcome: string) =>
  ({ succeeded: 'completed', silent: 'running' })[outcome] ?? outcome

const span = (atMs: number, durationMs: number, outcome: string) => ({
  start_ts: Math.round(startMs + atMs),
  end_ts: outcome === 'silent' ? null : Math.round(startMs + atMs + durationMs),
  status: status(outcome),
})

const recordOf = (job: PlannedJob) => ({
  ...{ trace: 'sim', job_id: job.id, parent_id: null, name: job.lot, app: job.app.name },
  ...{ cpu_s: job.cpuUserS, mem_bytes: null, attrs: job.metadata },
  ...span(job.atMs, job.durationMs, job.outcome),
})

const wafersOf = (job: PlannedJob) =>
  job.wafers.map((wafer) => ({
    ...{ trace: 'sim', job_id: wafer.id, parent_id: job.id, name: wafer.key, app: job.app.name },
    ...span(wafer.atMs, wafer.durationMs, wafer.outcome),
  }))

type Counted = { kind: string; status: string; n: number; events: number; updated: string }

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

describe('wafermon replay', () => {
  test('ends with the counts of the file, and changes nothing the second time', async (t) => {
    const { url } = await freshDatabase(t)
    const store = connect(url, { role: 'test', max: 1 })
    t.after(() => store.close())
    const localApi = await startRole(t, 'local-api', { DATABASE_URL: url })
    const records = recordsOf(1500) as {
      parent_id?: string | null
      status: string
      start_ts: number | null
    }[]
    const file = join(freshFolder(), 'sim.ndjson')
    writeFileSync(file, records.map((record) => JSON.stringify(record)).join('\n'))

    const first = await replay(t, file, localApi.url)
    const rows = await counted(store)
    const wanted = Map.groupBy(
      records.filter((record) => record.start_ts !== null),
      (r) =>
        `${r.parent_id ? 'subjob' : 'job'} ${r.status === 'completed' ? 'succeeded' : r.status}`,
    )
    assert.deepEqual(
      Object.fromEntries(rows.map((row) => [`${row.kind} ${row.status}`, row.n])),
      Object.fromEntries([...wanted].map(([name, group]) => [name, group.length])),
    )
    assert.equal(first.waiting, 1)

    const second = await replay(t, file, localApi.url)
    assert.equal(second.sent, first.sent)
    assert.deepEqual(await counted(store), rows)
    const metrics = await (await fetch(`${localApi.url}/metrics`)).text()
    const duplicates =
      metrics.match(/events_processed_total\{event_type="\w+",status="duplicate"\} (\d+)/g) ?? []
    const sum = duplicates.reduce((total, line) => total + Number(line.split(' ').at(-1)), 0)
    assert.equal(sum, first.sent)
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
